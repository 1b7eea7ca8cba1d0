"""Commands about hosting users and their sites: what they print, what they refuse with status 2."""

import pytest

from autossl_panel.autossl.models import Provider, ProviderChoice
from autossl_panel.hosting.models import Exclusion, ExclusionPattern, FeatureList, HostingUser, VirtualHost
from autossl_panel.people.models import Role, User
from tests.autossl.commands.calls import refused, run

pytestmark = pytest.mark.django_db


def test_a_user_is_set(make_user):
    make_user("amber")
    User.objects.create(username="mine", role=Role.RESELLER)
    said = run("user", "set", "amber", "--autossl", "off", "--suspended", "yes", "--owner", "mine")
    assert said == "amber: AutoSSL off (off), suspended, owner mine\n"
    said = run("user", "set", "amber", "--autossl", "feature-list", "--suspended", "no", "--owner", "root")
    assert said == "amber: AutoSSL on (feature-list), not suspended, owner root\n"


def test_a_user_gets_login_feature_list_and_address(make_user):
    make_user("amber")
    User.objects.create(username="anna", role=Role.USER)
    run("feature_list", "set", "starter", "--autossl", "off")
    said = run("user", "set", "amber", "--login", "anna", "--feature-list", "starter", "--email", "a@b.example")
    assert said == "amber: AutoSSL off (feature-list), not suspended, owner root, login anna, e-mail a@b.example\n"
    said = run("user", "set", "amber", "--login", "none", "--email", "")
    assert said == "amber: AutoSSL off (feature-list), not suspended, owner root\n"


def test_a_user_gets_an_address(make_user):
    make_user("amber")
    assert run("user", "email", "amber", "anna@amber.example") == "amber: notifications go to anna@amber.example\n"
    assert HostingUser.objects.get().email == "anna@amber.example"
    status, text = refused("user", "email", "amber", "anna")
    assert (status, "email: “anna” is not an e-mail address" in text) == (2, True)
    assert refused("user", "email", "nobody", "a@b.example")[0] == 2
    assert run("user", "email", "amber", "") == "amber: notifications go to nobody\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("amber", "--autossl", "off", "--login", "nobody"), "There is no person “nobody”"),
        (("amber", "--autossl", "off", "--login", "mine"), "login: “mine” is a reseller"),
        (("amber", "--autossl", "off", "--feature-list", "x"), "There is no feature list “x”"),
        (("amber", "--autossl", "off", "--email", "a@"), "email: “a@” is not an e-mail address"),
        (("nobody", "--autossl", "on"), "There is no hosting user “nobody”"),
        (("amber",), "Nothing to set"),
        (("amber", "--autossl", "off", "--owner", "nobody"), "There is no person “nobody”"),
    ],
)
def test_a_wrong_user_is_usage_and_changes_nothing(make_user, argv, says):
    make_user("amber")
    User.objects.create(username="mine", role=Role.RESELLER)
    status, text = refused("user", "set", *argv)
    assert status == 2
    assert says in text
    assert HostingUser.objects.get().autossl == "feature-list"


def test_feature_lists(server):
    assert run("feature_list", "set", "starter", "--autossl", "off") == "starter: AutoSSL off\n"
    assert not FeatureList.objects.get(name="starter").autossl


def test_feature_lists_are_renamed_listed_and_removed(make_user):
    make_user("amber")
    run("feature_list", "set", "starter", "--autossl", "off")
    run("user", "set", "amber", "--feature-list", "starter")
    assert run("feature_list", "rename", "starter", "basic") == "starter: is called basic now\n"
    assert "basic    off      1      1" in run("feature_list", "list")
    status, text = refused("feature_list", "remove", "basic")
    assert (status, text) == (2, "--move-to: “basic” has 1 user. Choose the list that it gets.")
    said = run("feature_list", "remove", "basic", "--move-to", "default")
    assert said == "basic: removed, 1 user moved to default\n"
    assert HostingUser.objects.get().feature_list.name == "default"
    status, text = refused("feature_list", "remove", "nosuch")
    assert "There is no feature list “nosuch”" in text


def test_exclusions_are_added_listed_and_removed(make_user, make_site):
    make_site(make_user("amber"), "xn--bcher-kva.example", "amber.example")
    assert run("exclude", "add", "bücher.example") == "bücher.example: excluded\n"
    assert run("exclude", "list") == "bücher.example  amber\n"
    status, text = refused("exclude", "add", "amber.example", "not a name")
    assert status == 2
    assert "not a name" in text
    assert Exclusion.objects.count() == 1
    assert run("exclude", "remove", "bücher.example") == "bücher.example: included again\n"
    assert run("exclude", "list") == ""


def test_patterns_are_tried_added_listed_and_removed(make_user, make_site):
    make_site(make_user("amber"), "xn--bcher-kva.example", "dev.amber.example")
    for number in range(12):
        make_site(make_user(f"u{number}"), f"dev{number}.example")
    said = run("exclude", "add", "--pattern", "DEV*", "--dry-run")
    assert said.startswith("dev* (server): 13 names would be excluded\n  dev.amber.example\n")
    assert said.endswith("  and 3 more\n")
    assert not ExclusionPattern.objects.exists()
    said = run("exclude", "add", "--pattern", "bü*", "--for", "user:amber")
    assert said == "bü* (user amber): 1 name excluded\n  bücher.example\n"
    assert run("exclude", "list") == "bü*  pattern, user amber\n"
    status, text = refused("exclude", "remove", "--pattern", "bü*")
    assert (status, "There is no pattern “bü*” (server)" in text) == (2, True)
    said = run("exclude", "remove", "--pattern", "bü*", "--for", "user:amber")
    assert said.startswith("bü* (user amber): 1 name no longer excluded by it\n")
    assert run("exclude", "list") == ""


def test_patterns_are_for_lists_and_resellers_too(make_user, make_site):
    amy = User.objects.create(username="amy", role=Role.RESELLER)
    make_site(make_user("amber", owner=amy), "dev.amber.example")
    assert "(reseller amy): 1 name excluded" in run("exclude", "add", "--pattern", "dev.*", "--for", "reseller:amy")
    said = run("exclude", "add", "--pattern", "dev.*", "--for", "feature-list:default")
    assert "(feature list default): 1 name excluded" in said


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("add",), "Give names, or one --pattern"),
        (("add", "a.example", "--pattern", "b*"), "Give names, or one --pattern"),
        (("add", "a.example", "--for", "server"), "--for and --dry-run are for a --pattern"),
        (("add", "--pattern", "a b"), "--pattern: “a b” is no pattern"),
        (("add", "--pattern", "a*", "--for", "everybody"), "--for: “everybody” is not server"),
        (("add", "--pattern", "a*", "--for", "user:nobody"), "There is no hosting user “nobody”"),
        (("add", "--pattern", "a*", "--for", "reseller:root"), "--for: There is no reseller “root”"),
        (("add", "--pattern", "a*", "--for", "feature-list:none"), "--for: There is no feature list “none”"),
    ],
)
def test_a_wrong_pattern_is_usage_and_adds_none(root, server, argv, says):
    status, text = refused("exclude", *argv)
    assert status == 2
    assert says in text
    assert not ExclusionPattern.objects.exists()


def test_providers_for_users_lists_and_failures(make_user, make_site, provider):
    amber = make_user("amber")
    make_site(amber, "amber.example")
    assert run("user", "set-provider", "amber", "pebble") == "amber: provider pebble\n"
    assert ProviderChoice.objects.get().user == amber
    assert run("user", "set-provider", "amber", "default") == "amber: provider default\n"
    said = run("feature_list", "set", "default", "--provider", "pebble", "--autossl", "on")
    assert said == "default: AutoSSL on, provider pebble\n"
    assert run("feature_list", "set", "default", "--provider", "default") == "default: AutoSSL on, provider default\n"
    assert not ProviderChoice.objects.exists()
    assert run("provider", "fallback", "pebble") == "Where a site's own provider fails: pebble\n"
    assert run("provider", "fallback") == "Where a site's own provider fails: pebble\n"
    assert run("provider", "fallback", "--none") == "Where a site's own provider fails: no other is asked\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("user", "set-provider", "nobody", "pebble"), "There is no hosting user “nobody”"),
        (("user", "set-provider", "amber", "nosuch"), "There is no provider “nosuch”"),
        (("user", "set-provider", "amber", "letsencrypt"), "provider: “Let’s Encrypt” is not ready"),
        (("feature_list", "set", "default"), "Nothing to set: give --autossl or --provider"),
        (("feature_list", "set", "new", "--provider", "pebble"), "There is no feature list “new”"),
        (("feature_list", "set", "new", "--provider", "letsencrypt", "--autossl", "on"), "is not ready"),
        (("provider", "fallback", "letsencrypt"), "provider: “Let’s Encrypt” is not ready"),
        (("provider", "fallback", "pebble", "pebble"), "“pebble” is named twice"),
        (("provider", "fallback", "pebble", "--none"), "Give names or --none"),
    ],
)
def test_a_wrong_choice_of_provider_is_usage_and_chooses_none(make_user, provider, argv, says):
    make_user("amber")
    run("provider", "list")
    status, text = refused(*argv)
    assert status == 2
    assert says in text
    assert not ProviderChoice.objects.exists()
    assert not FeatureList.objects.filter(name="new").exists()
    assert not Provider.objects.filter(fallback__isnull=False).exists()


def test_a_pause_is_begun_shown_and_ended(server):
    assert run("pause") == "AutoSSL is not paused.\n"
    assert run("pause", "on").startswith("AutoSSL is paused since 20")
    assert run("pause").endswith("UTC by the command line.\n")
    assert run("pause", "off") == "AutoSSL is not paused.\n"


def test_a_site_is_taken_over_by_name(make_user, make_site):
    make_site(make_user("amber"), "xn--bcher-kva.example")
    assert run("takeover", "Bücher.example", "on") == "bücher.example: AutoSSL takes over: yes\n"
    assert VirtualHost.objects.get().takeover
    assert run("takeover", "bücher.example", "off") == "bücher.example: AutoSSL takes over: no\n"
    for name, says in (("other.example", "There is no site “other.example”"), ("no name", "SITE: “no name” is not")):
        status, text = refused("takeover", name, "on")
        assert (status, says in text) == (2, True)
