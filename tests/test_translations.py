"""Every text that people read is marked, and there in every language: whole, with its places, compiled."""

from __future__ import annotations

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from autossl_panel.autossl import log
from autossl_panel.autossl.log.advice import advice
from autossl_panel.autossl.log.events import EVENTS
from autossl_panel.autossl.log.words import REASONS

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "autossl_panel" / "locale"
LANGUAGES = sorted(path.name for path in LOCALE.iterdir())
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
# Rooms whose words people read on pages; commands speak English, and so does what CA, DNS and web server say.
ROOMS = ("autossl", "hosting", "people", "web")
SPOKEN = [
    path
    for room in ROOMS
    for path in sorted((ROOT / "autossl_panel" / room).rglob("*.py"))
    if not {"management", "migrations"} & set(path.parts)
]


def run(*words: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


def catalogue(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


@pytest.fixture(scope="module")
def read_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The texts of the sources as they are now, read out by the command that `make messages` runs."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("autossl_panel", "templates", "static"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    shutil.copy(ROOT / "manage.py", folder)
    settings_of_its_own = {
        "DJANGO_SETTINGS_MODULE": "autossl_panel.settings",
        "AUTOSSL_STATE_DIR": str(folder / "state"),
    }
    words = ("manage.py", "makemessages", "--all", "--keep-pot")
    done = run(sys.executable, *words, cwd=folder, **settings_of_its_own)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout + done.stderr, "a text cannot be translated as it is"
    return folder / "autossl_panel" / "locale" / "django.pot"


def test_the_languages_that_are_offered_are_there():
    assert {code for code, _name in settings.LANGUAGES} == {"en", *LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str, read_out: Path):
    done = run("msgcmp", "--no-fuzzy-matching", catalogue(language), read_out)
    assert done.returncode == 0, f"make messages, then translate what it added to the catalogue\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_a_guess_or_left_over(language: str):
    text = catalogue(language).read_text(encoding="utf-8")
    assert not re.search(r"^#,.*\bfuzzy\b", text, re.MULTILINE)
    assert not re.search(r"^#~", text, re.MULTILINE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str, tmp_path: Path):
    compiled = tmp_path / "django.mo"
    done = run("msgfmt", "--check", "-o", compiled, catalogue(language))
    assert done.returncode == 0, done.stderr
    assert _entries(compiled) == _entries(catalogue(language).with_suffix(".mo")), "make messages"


def _entries(compiled: Path) -> dict[object, str]:
    with compiled.open("rb") as stream:
        found = gettext.GNUTranslations(stream)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in found.items() if key}


def _shape(text: str) -> Counter[str]:
    return Counter(re.findall(r"%\(\w+\)(?:\.\d+)?0?\d*[sdf]|<[^>]+>|%n", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_places_and_marks_are_kept(language: str):
    entries = _entries(catalogue(language).with_suffix(".mo"))
    wrong = []
    for key, text in entries.items():
        source = key if isinstance(key, str) else key[0]
        source = source.rpartition("\x04")[2]
        # The form for one may leave its number out.
        if isinstance(key, str) and set(_shape(source)) != set(_shape(text)):
            wrong.append((source, text))
        if source[:1].isspace() != text[:1].isspace() or source[-1:].isspace() != text[-1:].isspace():
            wrong.append((source, text))
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_renders(language: str):
    with translation.override(language):
        for event, template in EVENTS.items():
            keys = re.findall(r"%\((\w+)\)", str(template))
            text = log.render(event, {key: f"<{key}>" for key in keys})
            assert all(f"<{key}>" in text for key in keys), event
        for code in REASONS:
            assert log.reason_text(code)
            assert "%(" not in advice(code, {"name": "a.example"})


class _Texts(HTMLParser):
    """What a page shows and reads aloud."""

    SILENT = {"code", "kbd", "script", "style"}
    READ_ALOUD = {"alt", "aria-label", "aria-valuetext", "placeholder", "title"}

    def __init__(self) -> None:
        super().__init__()
        self.silent = 0
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.silent += tag in self.SILENT
        self.found += [value for name, value in attrs if value and name in self.READ_ALOUD]

    def handle_endtag(self, tag):
        self.silent -= tag in self.SILENT

    def handle_data(self, data):
        if not self.silent:
            self.found.append(data)


# Names, examples and signs, the same in every language
NAMES = re.compile(
    r"AutoSSL Panel|AutoSSL|UTC|HTTP|EAB|(?:ND)?JSON|PEM|\broot\b|-----BEGIN CERTIFICATE-----|https?://\S+|\b[\w.:@-]*(?:\d|example)[\w.:/-]*|\?|&\w+;"
)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_text_of_a_template_is_marked(template: Path):
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"{#.*?#}|{%\s*comment.*?endcomment\s*%}", "", text, flags=re.DOTALL)
    text = re.sub(r"{%\s*blocktrans.*?endblocktrans\s*%}", "", text, flags=re.DOTALL)
    text = re.sub(r"{%\s*blocktranslate.*?endblocktranslate\s*%}", "", text, flags=re.DOTALL)
    if "<" not in text:
        return  # attributes of an element elsewhere
    parser = _Texts()
    parser.feed(re.sub(r"{{.*?}}|{%.*?%}", "", text, flags=re.DOTALL))
    unmarked = [found.strip() for found in parser.found if re.search(r"[^\W\d_]{2}", NAMES.sub("", found))]
    assert unmarked == []


# Problems that only commands and logs show
COMMANDS = {"CaProblem", "ListProblem", "NameProblem", "SandboxProblem", "ServeProblem", "UserMapProblem"}


@pytest.mark.parametrize("module", SPOKEN, ids=lambda path: str(path.relative_to(ROOT / "autossl_panel")))
def test_every_text_that_code_says_is_marked(module: Path):
    unmarked = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        problem = called.endswith("Problem") and called.rpartition(".")[2] not in COMMANDS
        if problem or called in ("messages.ok", "messages.info", "messages.bad"):
            unmarked += [ast.unparse(argument) for argument in node.args if _says(argument)]
    assert unmarked == []


MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}


@pytest.mark.parametrize("module", SPOKEN, ids=lambda path: str(path.relative_to(ROOT / "autossl_panel")))
def test_no_mark_is_inside_an_f_string_or_around_one(module: Path):
    """There it would not be read out."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    inside = [node for string in ast.walk(tree) if isinstance(string, ast.JoinedStr) for node in ast.walk(string)]
    marked = [node for node in inside if isinstance(node, ast.Call) and ast.unparse(node.func) in MARKS]
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in MARKS
        and any(isinstance(argument, ast.JoinedStr) for argument in node.args)
    ]
    assert [ast.unparse(node) for node in marked + around] == []


def _says(argument: ast.expr) -> bool:
    if isinstance(argument, ast.JoinedStr):
        pieces = [piece.value for piece in argument.values if isinstance(piece, ast.Constant)]
        return any(re.search(r"[^\W\d_]{2}", str(piece)) for piece in pieces)
    return isinstance(argument, ast.Constant) and isinstance(argument.value, str) and " " in argument.value
