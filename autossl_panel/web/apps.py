from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "autossl_panel.web"
    label = "web"
