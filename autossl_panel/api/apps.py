from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "autossl_panel.api"
