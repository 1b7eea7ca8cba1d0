"""The scene with names as long and as wide as they get: what stands in rows, log lines and problems, too."""

from __future__ import annotations

import re
from typing import Any

from django.apps import apps
from django.db.models import CharField, JSONField, Model, TextField

from autossl_panel.hosting.models import FeatureList, HostingUser, VirtualHost

LONGEST = 252
LABEL = 63
USER = 64
# Names that are told of, by rows of these rooms; a key names a folder and stays
ROOMS = ("autossl", "hosting")
KEPT = {"key", "cause", "code", "feature_list"}
USERS = ("lindner", "junipershop", "northwind", "brandtlaw")
# Two feature lists: one name without a place to break it, one of words
LISTS = {
    "business": "business" + "W" * 55,
    "starter": "starter " + "for small sites and new users until they have grown",
}


def build() -> None:
    """Every site of every user gets a long name; a few users do."""
    hosts = list(VirtualHost.objects.values_list("name", flat=True))
    named = {name: long(name, place) for place, name in enumerate(hosts)}
    users = {name: name.upper() + "W" * (USER - len(name)) for name in USERS}
    pattern = "|".join(sorted(map(re.escape, named), key=len, reverse=True))
    words = re.compile(rf"(?<![\w.-])(www\.)?({pattern})(?![\w-])")

    def anew(text: str) -> str:
        return users.get(text) or words.sub(lambda found: (found[1] or "") + named[found[2]], text)

    for model in apps.get_models():
        if model._meta.app_label in ROOMS:
            _rewrite(model, anew)
    # Only what is a user's: a reseller may have the name, too
    for name in USERS:
        HostingUser.objects.filter(name=name).update(name=users[name])
    for name, longer in LISTS.items():
        FeatureList.objects.filter(name=name).update(name=longer)


def long(name: str, place: int) -> str:
    """Four in five of 252 characters, where www. fits before it no more; the others with one label of 63."""
    first, _dot, rest = name.partition(".")
    label = first + "w" * (LABEL - len(first))
    if place % 5 == 4:
        return f"{label}.{rest}"
    labels = [label, "m" * LABEL, "w" * LABEL]
    left = LONGEST - len(".".join([*labels, rest])) - 1
    return ".".join([*labels, "x" * left, rest])


def _rewrite(model: type[Model], anew: Any) -> None:
    fields = [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, CharField | TextField | JSONField) and field.name not in KEPT and not field.choices
    ]
    for row in model._default_manager.all():
        before = [getattr(row, field.name) for field in fields]
        after = [_through(value, anew) for value in before]
        if before != after:
            model._default_manager.filter(pk=row.pk).update(
                **{field.name: value for field, value in zip(fields, after, strict=True)}
            )


def _through(value: Any, anew: Any) -> Any:
    if isinstance(value, str):
        return anew(value)
    if isinstance(value, list):
        return [_through(item, anew) for item in value]
    if isinstance(value, dict):
        return {key: _through(item, anew) for key, item in value.items()}
    return value
