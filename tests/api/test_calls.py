"""What every call passes: who it is, what it may, how it is written; and what an answer never has."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django.views.debug import SafeExceptionReporterFilter

from autossl_panel.api import doors
from autossl_panel.autossl import options
from autossl_panel.autossl.models import Run
from autossl_panel.hosting import ownership
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import persons, tokens
from autossl_panel.people.models import ApiToken, AuditEntry, Role, Session
from tests.api.conftest import ADDRESS
from tests.api.schemas import Answer

ONE = "/json-api/start_autossl_check_for_one_user"
ALL = "/json-api/start_autossl_check_for_all_users"
PREVIEW = "/json-api/get_autossl_preview"
PROGRESS = "/execute/SSL/is_autossl_check_in_progress"
FORM = "application/x-www-form-urlencoded"


def get(path: str, authorization: str | None = None, **more: str) -> Answer:
    headers = {} if authorization is None else {"Authorization": authorization}
    return Answer(Client(REMOTE_ADDR=more.pop("address", ADDRESS)).get(path, more, headers=headers))


# --- who it is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        None, "", "whm", "whm ", "whm root", "whm root:", "whm :secret", "Basic cm9vdDp4", "Bearer x", "cpanel {}",
        "whm {} x", "whm {}\n", "whm\t{}", "whm {}\x00", "whm \xe4{}", "whm root:" + "a" * 5000, "whm root:\xff\xfe",
        "whm {}, whm {}",
    ],
)  # fmt: skip
def test_without_a_token_nobody_learns_anything(said, root):
    header = said.replace("{}", f"root:{root.secret}") if said is not None else None
    for path in (ALL, "/json-api/no_such_function", "/json-api/", "/json-api/a/b"):
        answer = get(path, header, **{"api.version": "1"})
        assert (answer.status, answer.reason) == (401, "Send the header “Authorization: whm USER:TOKEN”.")
        assert answer.response["WWW-Authenticate"] == "whm"
    assert Run.objects.filter(asked_from="api").count() == 0


def test_the_scheme_is_read_in_any_case(root):
    assert get(PREVIEW, f"WHM root:{root.secret}", **{"api.version": "1"}).ok


def test_why_a_token_opens_nothing_is_not_told(scene, root, reseller):
    """Unknown, another's, of nobody, expired, revoked, of a person who is deactivated or gone: the same answer."""
    wrong = [
        "root:" + tokens.PREFIX + "a" * 44,
        f"root:{reseller.secret}",
        f"nobody:{root.secret}",
        f"ROOT:{root.secret}",
        f"root:{root.secret.upper()}",
    ]
    for said in wrong:
        answer = get(ALL, f"whm {said}", **{"api.version": "1"})
        assert (answer.status, answer.reason) == (401, "This token does not open anything.")
    persons.set_active(scene.harborweb, False, by=scene.root)
    assert reseller.get(PREVIEW).status == 401
    persons.set_active(scene.harborweb, True, by=scene.root)
    assert reseller.get(PREVIEW).ok
    ApiToken.objects.filter(pk=reseller.token.pk).update(expires_at=timezone.now())
    assert reseller.get(PREVIEW).status == 401
    tokens.revoke(root.token, by=scene.root)
    answer = root.get(PREVIEW)
    assert (answer.status, answer.reason) == (401, "This token does not open anything.")


def test_a_token_in_the_address_or_the_body_opens_nothing(root):
    sent = {"api.version": "1", "token": root.secret, "Authorization": f"whm root:{root.secret}", "username": "root"}
    assert get(PREVIEW, **sent).status == 401
    assert Answer(Client().post(ALL, sent)).status == 401
    answer = get(PREVIEW, f"whm root:{root.secret}", **sent)
    assert not answer.ok
    assert root.secret not in str(answer.body)


def test_a_browser_that_is_signed_in_calls_nothing(scene):
    """Its cookie counts for nothing here, so no other site's page can make it start something."""
    client = Client()
    client.force_login(scene.root)
    seen = Session.objects.get().seen_at
    assert client.get(ALL, {"api.version": "1"}).status_code == 401
    assert Session.objects.get().seen_at == seen


def test_wrong_tokens_are_held_back_by_address_and_right_ones_are_not(root):
    wrong = f"whm root:{tokens.PREFIX}{'x' * 44}"
    answers = [get(ALL, wrong, **{"api.version": "1"}) for _try in range(22)]
    assert [answer.status for answer in answers] == [401] * 20 + [429] * 2
    assert answers[-1].response["Retry-After"] == "60"
    assert root.get(PREVIEW).ok, "one script with an old token does not shut out the others of its machine"
    assert get(ALL, wrong, address="203.0.113.4").status == 401


def test_a_wrong_token_is_told_in_the_trail_once_in_a_while(root):
    AuditEntry.objects.all().delete()
    for username in ("root", "root", "hunter2"):
        get(ALL, f"whm {username}:wrong_secret_that_is_typed", **{"api.version": "1"})
    entry = AuditEntry.objects.get()
    assert (entry.event, entry.subject, entry.person) == ("token:refused", "root", None)
    assert (entry.source, entry.address) == ("api", ADDRESS)
    cache.clear()
    get(ALL, "whm hunter2:wrong_secret_that_is_typed")
    assert AuditEntry.objects.latest("pk").subject == ""
    assert "wrong_secret" not in str(AuditEntry.objects.values_list())


def test_when_it_was_used_is_noted_once_a_minute(root):
    assert root.get(PREVIEW).ok
    ago = timezone.now() - timedelta(seconds=50)
    ApiToken.objects.update(used_at=ago)
    root.get(PREVIEW)
    token = ApiToken.objects.get()
    assert (token.used_at, token.address) == (ago, ADDRESS)
    ApiToken.objects.update(used_at=ago - timedelta(seconds=20))
    root.get(PREVIEW)
    assert timezone.now() - ApiToken.objects.get().used_at < timedelta(seconds=30)


# --- what it may ------------------------------------------------------------------------------------------------------


def test_each_form_is_for_its_roles(root, reseller, user):
    answer = Answer(Client().get(PROGRESS, headers={"Authorization": f"cpanel root:{root.secret}"}))
    assert (answer.status, answer.reason) == (403, "Functions under /execute/SSL/ are for hosting users' logins.")
    header = {"Authorization": f"whm anna:{user.secret}"}
    for path in (ALL, "/json-api/no_such_function"):
        answer = Answer(Client().get(path, {"api.version": "1"}, headers=header))
        assert (answer.status, answer.reason) == (403, "Functions under /json-api/ are for root and resellers.")
    answer = Answer(Client().get(PROGRESS, headers={"Authorization": f"whm anna:{user.secret}"}))
    assert (answer.status, answer.response["WWW-Authenticate"]) == (401, "cpanel")


def test_a_function_that_there_is_not(root, user):
    answer = root.get("/json-api/set_everything_right")
    assert (answer.status, answer.reason) == (404, "There is no function “set_everything_right” here.")
    assert answer.body["metadata"]["command"] == "set_everything_right"
    assert root.get("/json-api/x%0Ay%00z").reason == "There is no function “x?y?z” here."
    assert user.get("/execute/SSL/delete_ssl").status == 404
    assert Client().get("/execute/Email/list_pops").json()["status"] == 0


def test_a_token_that_only_reads(scene, idle, caller):
    monitor = caller(scene.root, read_only=True, name="monitor")
    answer = monitor.post(ALL)
    assert (answer.status, "this token only reads" in answer.reason) == (403, True)
    assert not Run.objects.filter(asked_from="api").exists()
    assert monitor.get(PREVIEW).ok


def test_a_person_of_another_role_has_no_tokens(scene, root, reseller):
    """Up or down: what a script was trusted with was the old role."""
    ownership.change_role(scene.harborweb, Role.ROOT, by=scene.root)
    assert reseller.get(PREVIEW).status == 401
    assert AuditEntry.objects.filter(event="token:revoked", subject="harborweb").count() == 1
    assert root.get(PREVIEW).ok
    persons.set_role(scene.root, Role.ROOT, by=scene.root)
    assert root.get(PREVIEW).ok, "the same role is no other one"


def test_a_token_without_its_role_row_still_goes_by_the_role_of_now(scene, root):
    """Whatever wrote the role: what a call may do is looked up with its token."""
    scene.root.role = Role.USER
    scene.root.save()
    assert root.get(PREVIEW).status == 403


def test_a_required_second_factor_is_asked_of_persons_not_of_scripts(scene, root):
    options.change(scene.server, {"second_factor": "everybody"}, by=None)
    assert root.get(PREVIEW).ok


def test_a_user_that_changed_hands_is_no_longer_the_resellers(scene, idle, reseller):
    assert reseller.post(ONE, username="northwind").ok
    Run.objects.filter(asked_from="api").update(ended_at=scene.now)
    ownership.set_owner(HostingUser.objects.get(name="northwind"), scene.brightpeak, by=scene.root)
    answer = reseller.post(ONE, username="northwind")
    assert (answer.status, answer.reason) == (200, "username: there is no such user.")
    assert answer.reason == reseller.post(ONE, username="nosuchuser").reason


# --- how it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["head", "put", "patch", "delete", "options", "trace"])
def test_other_methods_do_nothing(method, root, idle):
    answer = getattr(Client(), method)(f"{ALL}?api.version=1", headers=root.header)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, POST")
    assert "Access-Control-Allow-Origin" not in answer
    assert not Run.objects.filter(asked_from="api").exists()


@pytest.mark.parametrize(
    ("sent", "told"),
    [({}, "it is missing"), ({"api.version": "2"}, "“2” is not known"), ({"api.version": ""}, "“” is not known"),
     ({"api.version": ["1", "1"]}, "“1” is not known")],
)  # fmt: skip
def test_the_version_has_to_be_said(sent, told, root, idle):
    answer = Answer(Client().get(ALL, sent, headers=root.header))
    assert answer.status == 400
    assert answer.reason.startswith("api.version: ")
    assert answer.reason.endswith("send api.version=1.")
    if told != "“” is not known" and len(sent.get("api.version", "")) < 2:
        assert told in answer.reason
    assert not Run.objects.filter(asked_from="api").exists()


def test_parameters_come_by_address_and_by_body(root, idle):
    by_both = Client().post(f"{ONE}?api.version=1", "username=lindner", content_type=FORM, headers=root.header)
    assert Answer(by_both).ok
    assert root.get(ONE, username="lindner").ok
    twice = Client().post(f"{ONE}?api.version=1&username=thistle", "username=lindner", content_type=FORM,
                          headers=root.header)  # fmt: skip
    assert Answer(twice).reason == "username: it is given 2 times; once is right."


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({}, "username: it is missing."),
        ({"username": " "}, "username: it is missing."),
        ({"username": "nosuch"}, "username: there is no such user."),
        ({"username": "lindner' OR 1=1"}, "username: there is no such user."),
        ({"username": "x" * 254}, "username: it has 254 characters; 253 are the most."),
        ({"username": "lind\x00ner"}, "username: it has characters that cannot be printed."),
        ({"user": "lindner"}, "user: there is no such parameter. There are: username."),
        ({"username-1": "lindner"}, "username-1: there is no such parameter. There are: username."),
        ({"username": "lindner", "api.filter.enable": "1"},
         "api.filter.enable: there is no such parameter. There are: username."),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(sent, reason, root):
    answer = root.get(ONE, **sent)
    assert (answer.status, answer.ok, answer.reason) == (200, False, reason)


def test_bodies_that_are_no_form(root):
    header = root.header
    for kind, body in (("application/json", '{"username": "lindner"}'), ("text/plain", "username=lindner")):
        answer = Answer(Client().post(f"{ONE}?api.version=1", body, content_type=kind, headers=header))
        assert (answer.status, FORM in answer.reason) == (415, True)
    assert Answer(Client().post(f"{ONE}?api.version=1", {"username": "lindner"}, headers=header)).status == 415
    for path, body, status in (
        (ONE, "username=" + "x" * 3_000_000, 413),
        (ONE, "&".join(f"a{n}=1" for n in range(1001)), 400),
    ):
        answer = Answer(Client().post(f"{path}?api.version=1", body, content_type=FORM, headers=header))
        assert answer.status == status
    for charset in ("latin-1", "utf-7", "nonsense", "utf-8"):
        kind, path = f"{FORM}; charset={charset}", f"{ONE}?api.version=1"
        answer = Answer(Client().generic("POST", path, b"username=lindn\xe4", content_type=kind, headers=header))
        assert answer.status in (200, 400)
        assert not answer.ok


def test_a_body_without_a_length_is_not_taken_for_an_empty_one(root):
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked"}
    answer = Answer(Client().generic("POST", f"{ONE}?api.version=1", b"", headers=root.header, **chunked))
    assert (answer.status, answer.reason) == (411, "Send the body in one piece, with its length.")


def test_who_is_nobody_has_no_body_read():
    answer = Answer(Client().post(ONE, "x" * 3_000_000, content_type=FORM))
    assert answer.status == 401


def test_another_hosts_name_is_refused(root):
    answer = Answer(Client().get(ALL, {"api.version": "1"}, headers={**root.header, "Host": "evil.example"}))
    assert (answer.status, "AUTOSSL_URL" in answer.reason) == (400, True)


# --- what it never says -----------------------------------------------------------------------------------------------


def test_an_error_of_ours_is_told_in_json_and_logged_without_the_secret(root, caplog, monkeypatch):
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(doors.servers, "this", broken)
    with caplog.at_level(logging.ERROR):
        answer = root.get(PREVIEW)
    assert (answer.status, answer.reason) == (500, "Something is wrong in the panel itself; its log says what.")
    assert "get_autossl_preview" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert root.secret not in caplog.text
    told = [
        SafeExceptionReporterFilter().get_safe_request_meta(one.request)
        for one in caplog.records
        if "request" in vars(one)
    ]
    assert told, "what a mail about it would describe"
    assert root.secret not in str(told)


def test_the_secret_is_nowhere_but_in_the_scripts_hands(root, idle):
    root.post(ONE, username="lindner")
    everything = [*AuditEntry.objects.values_list(), *ApiToken.objects.values_list()]
    assert root.secret not in str(everything)
    assert root.secret.removeprefix(tokens.PREFIX) not in str(everything)


def test_words_and_times_do_not_go_by_the_caller(root, scene):
    persons.set_language(scene.root, "de")
    headers = {**root.header, "Accept-Language": "de"}
    options.pause(scene.server, by=None, now=scene.now)
    answer = Answer(Client().get(ALL, {"api.version": "1"}, headers=headers))
    assert answer.reason == "AutoSSL is paused. Nothing was started."


def test_who_did_it_stands_in_the_trail_with_the_address(root, idle):
    pid = root.post(ONE, username="lindner").data["pid"]
    entry = AuditEntry.objects.get(event="run:started")
    assert (entry.person_name, entry.source, entry.address) == ("root", "api", ADDRESS)
    assert entry.after == {"run": pid}


def test_a_call_is_few_questions_and_the_token_one(
    root, idle, django_assert_max_num_queries, django_assert_num_queries
):
    root.get(PREVIEW)
    with django_assert_max_num_queries(15):
        root.post(ONE, username="lindner")
    with django_assert_num_queries(1):
        assert tokens.find("root", root.secret, timezone.now()) is not None
    with django_assert_max_num_queries(15):
        root.post(ALL)
