"""Every URL of the panel belongs to a room: the pages to `web`."""

from django.urls import include, path

urlpatterns = [path("", include("autossl_panel.web.urls"))]

handler400 = "autossl_panel.web.around.bad_request"
