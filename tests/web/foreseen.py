"""Previews of the scene: for all, for a reseller's users and for one user; and one that is at work."""

from __future__ import annotations

from autossl_panel.autossl import preview, previewing, runs
from autossl_panel.autossl.models import Preview, Provider
from autossl_panel.helper.protocol import InventoryAnswer
from tests.web.scene import Scene

AT_WORK = runs.user_scope("quarrybank")


class Helper:
    """Nothing has changed in the configuration."""

    def inventory(self, *, unless: str | None = None) -> InventoryAnswer:
        return InventoryAnswer("h", True, (), (), (), None)


def work_out(scene: Scene, scope: str = runs.ALL) -> Preview:
    made = preview.ask(scope, asked_by=scene.root, server=scene.server, ring=False)
    previewing.work_out(made.pk, Helper())  # type: ignore[arg-type]
    return Preview.objects.get(pk=made.pk)


def add(scene: Scene, orders: int = 10) -> Scene:
    """At a CA that takes so many orders in three hours."""
    few = [{"kind": "orders", "number": orders, "seconds": 10800, "continuous": True}]
    Provider.objects.filter(pk=scene.provider.pk).update(limits=few)
    for scope in (runs.ALL, runs.owner_scope(scene.harborweb), runs.user_scope("northwind")):
        work_out(scene, scope)
    made = preview.ask(AT_WORK, asked_by=scene.root, server=scene.server, ring=False)
    Preview.objects.filter(pk=made.pk).update(sites=6, done=2)
    return scene
