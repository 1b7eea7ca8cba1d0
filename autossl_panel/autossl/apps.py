from django.apps import AppConfig


class AutoSSLConfig(AppConfig):
    name = "autossl_panel.autossl"
    label = "autossl"
