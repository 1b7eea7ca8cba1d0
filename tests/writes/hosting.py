"""What changes something in hosting: users, lists, names and patterns, each with what it leaves in the trail."""

from autossl_panel.hosting import editing, excluded_names, exclusion_patterns, feature_lists, ownership, users
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people.models import Role
from tests.web.scene import person
from tests.writes.acts import Act, amber, feature_list, pattern, users_named

# function: (what calls it, {(event, subject)} of the entries that it leaves)
WRITES: dict[str, tuple[Act, set[tuple[str, str]]]] = {
    "hosting.users.set_autossl": (
        lambda by, scene: users.set_autossl(users_named("amberfield", "ateliermo"), "off", by=by, now=scene.now),
        {("user:autossl_set", "amberfield"), ("user:autossl_set", "ateliermo")},
    ),
    "hosting.users.undo_autossl": (
        lambda by, scene: users.undo_autossl(
            HostingUser.objects.all(),
            users.set_autossl(users_named("amberfield"), "off", by=None, now=scene.now),
            by=by,
            now=scene.now,
        ),
        {("user:autossl_set", "amberfield")},
    ),
    "hosting.users.set_suspended": (
        lambda by, scene: users.set_suspended(amber(), True, by=by, now=scene.now),
        {("user:suspended", "amberfield")},
    ),
    "hosting.ownership.give": (
        lambda by, scene: ownership.give(users_named("amberfield", "greenmile"), scene.harborweb, by=by),
        {("user:owner_set", "amberfield"), ("user:owner_set", "greenmile")},
    ),
    "hosting.ownership.undo_give": (
        lambda by, scene: ownership.undo_give(
            HostingUser.objects.all(), ownership.give(users_named("amberfield"), scene.harborweb, by=None), by=by
        ),
        {("user:owner_set", "amberfield")},
    ),
    "hosting.ownership.set_owner": (
        lambda by, scene: ownership.set_owner(amber(), scene.harborweb, by=by),
        {("user:owner_set", "amberfield")},
    ),
    "hosting.ownership.set_login": (
        lambda by, _scene: ownership.set_login(amber(), person("anna", Role.USER), by=by),
        {("user:login_set", "amberfield")},
    ),
    "hosting.ownership.set_logins": (
        lambda by, _scene: ownership.set_logins(person("anna", Role.USER), [amber()], by=by),
        {("user:login_set", "amberfield")},
    ),
    "hosting.ownership.change_role": (
        lambda by, scene: ownership.change_role(scene.brightpeak, Role.USER, by=by),
        {("person:changed", "brightpeak"), ("user:owner_set", "greenmile"), ("user:owner_set", "hallsteadt")},
    ),
    "hosting.ownership.remove_person": (
        lambda by, scene: ownership.remove_person(scene.brightpeak, by=by),
        {("person:removed", "brightpeak"), ("user:owner_set", "greenmile"), ("user:owner_set", "hallsteadt")},
    ),
    "hosting.users.set_email": (
        lambda by, _scene: users.set_email(amber(), "a@b.example", by=by),
        {("user:changed", "amberfield")},
    ),
    "hosting.editing.change": (
        lambda by, scene: editing.change(
            amber(), editing.Wish(None, None, feature_list("parked"), "", False), by=by, now=scene.now
        ),
        {("user:feature_list_set", "amberfield")},
    ),
    "hosting.excluded_names.exclude_names": (
        lambda by, scene: excluded_names.exclude_names(amber(), ["amberfield.example"], by=by, now=scene.now),
        {("name:excluded", "amberfield")},
    ),
    "hosting.excluded_names.include_names": (
        lambda by, scene: (
            excluded_names.exclude_names(amber(), ["amberfield.example"], by=None, now=scene.now),
            excluded_names.include_names(amber(), ["amberfield.example"], by=by, now=scene.now),
        ),
        {("name:included", "amberfield")},
    ),
    "hosting.feature_lists.add": (
        lambda by, _scene: feature_lists.add("basic", True, by=by),
        {("feature_list:added", "basic")},
    ),
    "hosting.feature_lists.rename": (
        lambda by, _scene: feature_lists.rename(feature_list("parked"), "kept", by=by),
        {("feature_list:changed", "parked")},
    ),
    "hosting.feature_lists.set_autossl": (
        lambda by, scene: feature_lists.set_autossl(feature_list("parked"), True, by=by, now=scene.now),
        {("feature_list:changed", "parked")},
    ),
    "hosting.feature_lists.move": (
        lambda by, scene: feature_lists.move(users_named("amberfield"), feature_list("parked"), by=by, now=scene.now),
        {("user:feature_list_set", "amberfield")},
    ),
    "hosting.feature_lists.undo_move": (
        lambda by, scene: feature_lists.undo_move(
            HostingUser.objects.all(),
            feature_lists.move(users_named("amberfield"), feature_list("parked"), by=None, now=scene.now),
            by=by,
            now=scene.now,
        ),
        {("user:feature_list_set", "amberfield")},
    ),
    "hosting.feature_lists.remove": (
        lambda by, scene: feature_lists.remove(
            feature_list("parked"), move_to=feature_list("starter"), by=by, now=scene.now
        ),
        {("feature_list:removed", "parked"), *{("user:feature_list_set", name) for name in ("eastgate", "northwind")}},
    ),
    "hosting.feature_lists.set_feature_list": (
        lambda by, scene: users.set_feature_list("parked", True, by=by, now=scene.now),
        {("feature_list:changed", "parked")},
    ),
    "hosting.users.exclude": (
        lambda by, scene: users.exclude(["amberfield.example"], by=by, now=scene.now),
        {("name:excluded", "amberfield.example")},
    ),
    "hosting.users.include": (
        lambda by, scene: (
            users.exclude(["amberfield.example"], by=None, now=scene.now),
            users.include(["amberfield.example"], by=by, now=scene.now),
        ),
        {("name:included", "amberfield.example")},
    ),
    "hosting.excluded_names.set_names": (
        lambda by, scene: (
            excluded_names.exclude_names(amber(), ["amberfield.example"], by=None, now=scene.now),
            excluded_names.set_names(amber(), ["www.amberfield.example"], by=by, now=scene.now),
        ),
        {("name:changed", "amberfield")},
    ),
    "hosting.exclusion_patterns.add_pattern": (
        lambda by, scene: pattern(scene, by),
        {("pattern:added", "*.amberfield.example")},
    ),
    "hosting.exclusion_patterns.remove_pattern": (
        lambda by, scene: exclusion_patterns.remove_pattern(pattern(scene), by=by, now=scene.now),
        {("pattern:removed", "*.amberfield.example")},
    ),
}
