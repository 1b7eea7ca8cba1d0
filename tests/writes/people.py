"""What changes something in people: sign-in, persons, tokens, each with what it leaves in the trail."""

from autossl_panel.people import factors, persons, sessions, tokens
from autossl_panel.people.models import Role
from tests.writes.acts import PASSWORD, Act, a_passkey, a_token, add_app, session_of

# function: (what calls it, {(event, subject)} of the entries that it leaves)
WRITES: dict[str, tuple[Act, set[tuple[str, str]]]] = {
    "people.factors.add_app": (
        lambda by, _scene: add_app(by),
        {("second_factor:added", "root")},
    ),
    "people.factors.add_passkey": (lambda by, _scene: a_passkey(by, by), {("second_factor:added", "root")}),
    "people.factors.rename_passkey": (
        lambda by, _scene: factors.rename_passkey(factors.passkeys(by).get(pk=a_passkey(by)), "Desk", by=by),
        {("second_factor:renamed", "root")},
    ),
    "people.factors.remove": (
        lambda by, _scene: factors.remove(by, factors.PASSKEY, pk=a_passkey(by), by=by),
        {("second_factor:removed", "root")},
    ),
    "people.factors.reset": (
        lambda by, scene: (a_passkey(scene.harborweb), factors.reset(scene.harborweb, by=by)),
        {("second_factor:reset", "harborweb")},
    ),
    "people.factors.new_codes": (
        lambda by, _scene: (a_passkey(by), factors.new_codes(by, by=by)),
        {("second_factor:added", "root")},
    ),
    "people.persons.add": (
        lambda by, _scene: persons.add("amy", "reseller", PASSWORD, by=by),
        {("person:added", "amy")},
    ),
    "people.persons.add_new": (
        lambda by, _scene: persons.add_new("amy", "reseller", PASSWORD, by=by),
        {("person:added", "amy")},
    ),
    "people.persons.change_password": (
        lambda by, scene: persons.change_password(scene.harborweb, PASSWORD, by=by),
        {("person:password_changed", "harborweb")},
    ),
    "people.sessions.end": (
        lambda by, scene: sessions.end(session_of(scene.harborweb), by=by),
        {("session:ended", "harborweb")},
    ),
    "people.sessions.end_all": (
        lambda by, scene: (session_of(scene.harborweb), sessions.end_all(scene.harborweb, by=by)),
        {("session:ended", "harborweb")},
    ),
    "people.tokens.make": (lambda by, scene: a_token(scene.harborweb, by), {("token:added", "harborweb")}),
    "people.tokens.revoke": (
        lambda by, scene: tokens.revoke(a_token(scene.harborweb), by=by),
        {("token:revoked", "harborweb")},
    ),
    "people.tokens.revoke_all": (
        lambda by, scene: (a_token(scene.harborweb), tokens.revoke_all(scene.harborweb, by=by)),
        {("token:revoked", "harborweb")},
    ),
    "people.persons.set_role": (
        lambda by, scene: persons.set_role(scene.harborweb, Role.USER, by=by),
        {("person:changed", "harborweb")},
    ),
    "people.persons.set_email": (
        lambda by, scene: persons.set_email(scene.harborweb, "a@b.example", by=by),
        {("person:changed", "harborweb")},
    ),
    "people.persons.set_active": (
        lambda by, scene: persons.set_active(scene.harborweb, False, by=by),
        {("person:changed", "harborweb")},
    ),
    "people.persons.remove": (
        lambda by, scene: persons.remove(scene.harborweb, by=by),
        {("person:removed", "harborweb")},
    ),
}
