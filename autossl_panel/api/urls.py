"""Addresses of the API. `middleware.Calls` answers the first two before anything that is for browsers sees them."""

from django.urls import path

from . import doors

urlpatterns = [
    path("json-api/<path:function>", doors.whm, name="json-api"),
    path("execute/SSL/<path:function>", doors.uapi, name="uapi"),
    path("api/openapi.json", doors.description, name="openapi"),
]
