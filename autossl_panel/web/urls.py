"""The pages, one view module a screen."""

from django.urls import path

from . import around, options, preferences, provider_form, providers, run_page, runs, sign_in, users

urlpatterns = [
    path("", users.home, name="home"),
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("theme/", sign_in.theme, name="theme"),
    path("seen/", around.seen, name="seen"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("providers/", providers.providers, name="providers"),
    path("providers/add/", provider_form.add, name="provider-add"),
    path("providers/disable/", providers.disable, name="providers-disable"),
    path("providers/<int:pk>/edit/", provider_form.edit, name="provider-edit"),
    path("providers/<int:pk>/state/", providers.state, name="provider-state"),
    path("providers/<int:pk>/check/", providers.check, name="provider-check"),
    path("providers/<int:pk>/register/", providers.register, name="provider-register"),
    path("providers/<int:pk>/remove/", providers.remove, name="provider-remove"),
    path("options/", options.options, name="options"),
    path("users/", users.users, name="users"),
    path("users/undo/", users.put_back, name="users-undo"),
    path("users/<int:pk>/autossl/", users.set_one, name="user-autossl"),
    path("users/<int:pk>/check/", users.check, name="user-check"),
    path("runs/", runs.runs, name="runs"),
    path("runs/slot/", runs.slot, name="run-slot"),
    path("runs/<int:pk>/", run_page.run, name="run"),
    path("runs/<int:pk>/live/", run_page.live, name="run-live"),
    path("runs/<int:pk>/log.txt", run_page.text, name="run-text"),
    path("runs/<int:pk>/cancel/", runs.cancel, name="run-cancel"),
]
