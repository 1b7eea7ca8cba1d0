from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "autossl_panel.people"
    label = "people"
