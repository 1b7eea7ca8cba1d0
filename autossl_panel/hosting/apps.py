from django.apps import AppConfig


class HostingConfig(AppConfig):
    name = "autossl_panel.hosting"
    label = "hosting"
