"""Forms that count what is not saved: as they come there is nothing, and nobody who leaves is asked."""

import pytest
from playwright.sync_api import expect

from tests.browser import pages
from tests.browser.test_forms import warned
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return pages.build()


@pytest.mark.parametrize(
    "name",
    ["preferences", "options", "person", "people-user", "feature-list", "user-provider", "provider-limits",
     "provider-profile"],
)  # fmt: skip
def test_a_form_as_it_comes_has_nothing_to_save(visit, scene: Scene, name: str):
    known = pages.ids(scene)
    page = visit(path=pages.PAGES[name].path.format(**known))
    kinds = warned(page, leave=True)
    expect(page.locator("[data-unsaved-count]")).to_have_text("")
    page.get_by_role("link", name="AutoSSL", exact=True).first.click()
    page.wait_for_url("**/users/")
    assert kinds == []
