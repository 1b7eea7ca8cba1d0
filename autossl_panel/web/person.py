"""A person's page: role, e-mail, password, second factor, deactivating, removing. Nobody locks themselves out here."""

from collections.abc import Mapping

from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from autossl_panel.hosting import ownership
from autossl_panel.hosting.changes import UserProblem
from autossl_panel.hosting.models import ExclusionPattern, HostingUser
from autossl_panel.hosting.ownership import Held
from autossl_panel.people import factors as second_factors
from autossl_panel.people import persons, tokens
from autossl_panel.people.models import Role, User
from autossl_panel.people.persons import PersonProblem

from . import access, messages, people_frame, person_table
from .people import fields, hosting_users, problems_of_logins, roles, told

# Hosting users that the page names one by one
NAMED = 50


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def person(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The page; a post saves role, e-mail and, of a login, whom it is for."""
    row = get_object_or_404(User, pk=pk)
    values = _values(row)
    problems: dict[str, str] = {}
    if request.method == "POST":
        values = {name: request.POST.get(name, value).strip() for name, value in values.items()}
        problems = _problems(row, values, request.user)
        if not problems:
            try:
                return _save(request, row, values)
            except (PersonProblem, UserProblem) as problem:
                problems = told([problem])
                row.refresh_from_db()
    return _page(request, row, values, problems)


def _values(row: User) -> dict[str, str]:
    """What the form holds of a person."""
    logins = list(HostingUser.objects.filter(login=row).order_by("name").values_list("name", flat=True))
    return {"role": row.role, "hosting_users": ", ".join(logins), "email": row.email}


def _page(
    request: access.PanelRequest, row: User, values: Mapping[str, str], problems: Mapping[str, str], password: str = ""
) -> HttpResponse:
    """The page, with what is wrong at the fields of its form, and with the new `password`."""
    context = {
        "person": row,
        "fields": fields(values, problems),
        "roles": roles(),
        "user_role": Role.USER,
        "held": ownership.held_by(row),
        "owned": list(HostingUser.objects.filter(owner=row).order_by("name")[:NAMED]),
        "factors": person_table.called(second_factors.kinds_of([row.pk]).get(row.pk, [])),
        "tokens": tokens.of(row).count(),
        "self": row.pk == request.user.pk,
        "wrong_password": password,
    }
    return people_frame.page(request, "person.html", people_frame.PERSONS, context)


def _problems(row: User, values: Mapping[str, str], by: User) -> dict[str, str]:
    """All that is wrong, field by field."""
    found: list[PersonProblem | UserProblem] = [*problems_of_logins(values, row)]
    for check, text in ((persons.check_role, values["role"]), (persons.email_of, values["email"])):
        try:
            check(text)
        except PersonProblem as problem:
            found.append(problem)
    if values["role"] != row.role and row.pk == by.pk:
        found.append(PersonProblem("role", _("Another root changes your own role.")))
    return told(found)


def _save(request: access.PanelRequest, row: User, values: Mapping[str, str]) -> HttpResponse:
    """Save it all or nothing; a role that lets hosting users go is asked for first, with how many."""
    role = values["role"]
    lost = ownership.held_by(row).lost_as(role)
    if lost != Held(0, 0) and request.POST.get("confirmed") != "yes":
        context = {"person": row, "values": values, "lost": lost, "role": Role(role).label}
        return people_frame.page(request, "person_role.html", people_frame.PERSONS, context)
    users = hosting_users(values["hosting_users"]) if role == Role.USER else []
    revoked = tokens.of(row).count() if role != row.role else 0
    with transaction.atomic():
        if role != row.role:
            ownership.change_role(row, role, by=request.user)
        if role == Role.USER:
            ownership.set_logins(row, users, by=request.user)
        persons.set_email(row, values["email"], by=request.user)
    messages.ok(request, _("“%(name)s” is saved.") % {"name": row.username} + _revoked(revoked))
    return redirect("person", row.pk)


def _revoked(n: int) -> str:
    """“ 2 API tokens are revoked.”: they were made for what the person might before."""
    if not n:
        return ""
    return " " + ngettext("%(n)d API token is revoked.", "%(n)d API tokens are revoked.", n) % {"n": n}


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def password(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Set a password that was typed, or one that is shown this once; opened again, it is the person's page."""
    row = get_object_or_404(User, pk=pk)
    if request.method != "POST":
        return redirect("person", row.pk)
    generate = "generate" in request.POST
    text = persons.generated_password() if generate else request.POST.get("password", "")
    own = row.pk == request.user.pk
    try:
        persons.change_password(row, text, by=request.user, keep_session=request.session.session_key if own else None)
    except PersonProblem as problem:
        wrong = " ".join((problem.text, _("The password stays as it was.")))
        return _page(request, row, _values(row), {}, wrong)
    if own:
        # Who sets the own password stays signed in here.
        update_session_auth_hash(request, row)
    if generate:
        context = {"person": row, "password": text, "added": False}
        return people_frame.page(request, "person_password.html", people_frame.PERSONS, context)
    messages.ok(
        request, _("The password of “%(name)s” is set. Sessions elsewhere have ended.") % {"name": row.username}
    )
    return redirect("person", row.pk)


@require_POST
@access.root
@access.fresh_to_post
def active(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Deactivate or reactivate; undo is offered."""
    row = get_object_or_404(User, pk=pk)
    wanted = request.POST.get("active") == "yes"
    try:
        if not wanted and row.pk == request.user.pk:
            raise PersonProblem("person", _("Another root deactivates you."))
        done = persons.set_active(row, wanted, by=request.user)
    except PersonProblem as problem:
        messages.bad(request, problem.text)
        return redirect("person", row.pk)
    if not done:
        messages.info(request, _("Nothing changes: it is so already."))
    elif wanted:
        said = _("“%(name)s” may sign in again.") % {"name": row.username}
        people_frame.offer_undo(request, said, "active", [row.pk, False], page=resolve_url("person", row.pk))
    else:
        said = _("“%(name)s” is signed out everywhere and may not sign in.") % {"name": row.username}
        people_frame.offer_undo(request, said, "active", [row.pk, True], page=resolve_url("person", row.pk))
    return redirect("person", row.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def remove(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask, with what follows in numbers; a post removes the person."""
    row = get_object_or_404(User, pk=pk)
    problem = ""
    if request.method == "POST":
        try:
            if row.pk == request.user.pk:
                raise PersonProblem("person", _("Another root removes you."))
            name = row.username
            lost = ownership.remove_person(row, by=request.user)
        except PersonProblem as refused:
            problem = refused.text
        else:
            messages.ok(request, _("“%(name)s” is removed.") % {"name": name} + _let_go(lost))
            return redirect("people")
    context = {
        "person": row,
        "held": ownership.held_by(row),
        "patterns": ExclusionPattern.objects.filter(owner=row).count(),
        "problem": problem,
    }
    return people_frame.page(request, "person_remove.html", people_frame.PERSONS, context)


def _let_go(lost: Held) -> str:
    if not lost.owned:
        return ""
    return " " + ngettext("%(n)d hosting user is root’s now.", "%(n)d hosting users are root’s now.", lost.owned) % {
        "n": lost.owned
    }


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def factors(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask; a post takes the second factor from a person who is locked out."""
    row = get_object_or_404(User, pk=pk)
    if request.method == "POST":
        if second_factors.reset(row, by=request.user):
            said = _("The second factor of “%(name)s” is removed; the password alone signs in.")
            messages.ok(request, said % {"name": row.username})
        else:
            messages.info(request, _("“%(name)s” has no second factor.") % {"name": row.username})
        return redirect("person", row.pk)
    kinds = person_table.called(second_factors.kinds_of([row.pk]).get(row.pk, []))
    if not kinds:
        return redirect("person", row.pk)
    context = {"person": row, "kinds": kinds}
    return people_frame.page(request, "person_factors.html", people_frame.PERSONS, context)
