"""Every URL of the panel belongs to a room: the pages to `web`, what scripts call to `api`."""

from django.urls import include, path

urlpatterns = [path("", include("autossl_panel.web.urls")), path("", include("autossl_panel.api.urls"))]

handler400 = "autossl_panel.web.around.bad_request"
