"""The WSGI application that `serve` runs under gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autossl_panel.settings")

application = get_wsgi_application()
