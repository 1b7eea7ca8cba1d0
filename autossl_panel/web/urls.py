"""The pages, one view module a screen."""

from django.urls import path

from . import sign_in

urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("theme/", sign_in.theme, name="theme"),
]
