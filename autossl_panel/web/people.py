"""People, the first tab: who signs in, and adding somebody."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from autossl_panel.hosting import ownership, servers
from autossl_panel.hosting.changes import UserProblem
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import persons
from autossl_panel.people.models import Role, User
from autossl_panel.people.persons import PersonProblem

from . import access, messages, nothing, people_frame, person_table
from .paging import paginate
from .person_table import Filter

# Of many names that nobody has, these are told
NAMED = 10
NOTHING = gettext_lazy("Nothing was saved.")


@dataclass(frozen=True, slots=True)
class Field:
    """An input as a form shows it: what was typed, and what is wrong with it."""

    name: str
    value: str
    problem: str = ""
    first_problem: bool = False


def fields(values: Mapping[str, str], problems: Mapping[str, str]) -> dict[str, Field]:
    """The inputs of a form; the first wrong one gets the focus."""
    first = next((name for name in values if name in problems), None)
    return {name: Field(name, value, problems.get(name, ""), name == first) for name, value in values.items()}


@require_safe
@access.root
def people(request: access.PanelRequest) -> HttpResponse:
    """The list of persons."""
    wish = Filter.of(request)
    everybody = User.objects.all()
    counts = person_table.counts(everybody)
    total = None if wish.q else counts[wish.state or "all"]
    paging = paginate(request, person_table.narrowed(everybody, wish).order_by("username"), total=total)
    context = {
        "wish": wish,
        "counts": counts,
        "paging": paging,
        "searched": nothing.searched(
            wish, counts["all"], lambda wider: person_table.narrowed(everybody, wider).count()
        ),
        "rows": person_table.rows(paging.rows),
    }
    return people_frame.page(request, "people.html", people_frame.PERSONS, context)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def add(request: access.PanelRequest) -> HttpResponse:
    """The form; a post adds a person, with a password that was typed, or one that is shown this once."""
    values = {"username": "", "role": Role.USER.value, "hosting_users": "", "email": ""}
    problems: dict[str, str] = {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "").strip() for name in values}
        typed = request.POST.get("password", "")
        password = typed or persons.generated_password()
        problems = _problems(values, password)
        if not problems:
            try:
                person = _add(values, password, request.user)
            except (PersonProblem, UserProblem) as problem:
                problems = told([problem])
            else:
                if not typed:
                    context = {"person": person, "password": password, "added": True}
                    return people_frame.page(request, "person_password.html", people_frame.PERSONS, context)
                messages.ok(request, _("“%(name)s” is added and may sign in.") % {"name": person.username})
                return redirect("people")
        if typed:
            # Without a word, an empty field would have the panel make another one.
            problems.setdefault("password", _("Enter the password once more."))
    context = {"fields": fields({**values, "password": ""}, problems), "roles": roles(), "user_role": Role.USER}
    return people_frame.page(request, "person_add.html", people_frame.PERSONS, context)


def _problems(values: Mapping[str, str], password: str) -> dict[str, str]:
    """All that is wrong, field by field."""
    username, role = values["username"], values["role"]
    found: list[PersonProblem | UserProblem] = []
    found += persons.problems_of_new(username, role, password, email=values["email"])
    found += problems_of_logins(values, None)
    return told(found)


def problems_of_logins(values: Mapping[str, str], person: User | None) -> list[UserProblem]:
    """What is wrong with the hosting users that a login signs in for; `person` is who has it already."""
    if values["role"] != Role.USER:
        return []
    try:
        for user in hosting_users(values["hosting_users"]):
            ownership.check_free(user, person)
    except UserProblem as problem:
        return [problem]
    return []


def told(found: Iterable[PersonProblem | UserProblem]) -> dict[str, str]:
    """What stands at which field of a form that saved nothing."""
    return {problem.field: f"{problem.text} {NOTHING}" for problem in found}


def _add(values: Mapping[str, str], password: str, by: User) -> User:
    username, role = values["username"], values["role"]
    users = hosting_users(values["hosting_users"]) if role == Role.USER else []
    with transaction.atomic():
        person = persons.add_new(username, role, password, email=values["email"], by=by)
        ownership.set_logins(person, users, by=by)
    return person


def hosting_users(text: str) -> list[HostingUser]:
    """The hosting users of this server that somebody named, separated by commas or spaces. Raises UserProblem."""
    names = list(dict.fromkeys(text.replace(",", " ").split()))
    known = HostingUser.objects.select_related("login").filter(server=servers.this(), name__in=names)
    found = {user.name: user for user in known}
    unknown = [_("“%(name)s”") % {"name": name[:80]} for name in names if name not in found]
    if unknown:
        text = ngettext(
            "There is no hosting user %(names)s on this server.",
            "There are no hosting users %(names)s on this server.",
            len(unknown),
        )
        raise UserProblem("hosting_users", text % {"names": ", ".join(unknown[:NAMED])})
    return [found[name] for name in names]


def roles() -> list[tuple[str, str, str]]:
    """The roles with what each may do."""
    what = {
        Role.ROOT: _("Sees and changes everything."),
        Role.RESELLER: _("Sees and manages the hosting users that it was given."),
        Role.USER: _("Sees the names of its own sites, nothing else."),
    }
    return [(role.value, str(role.label), what[role]) for role in Role]
