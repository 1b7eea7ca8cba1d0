"""All settings of the panel, from the environment. What an admin changes while it runs is in the table of Options."""

import contextlib
import os
import re
import secrets
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

PACKAGE = Path(__file__).resolve().parent
# A wheel carries templates and static inside the package, a checkout has them beside it.
ASSETS = PACKAGE if (PACKAGE / "templates").is_dir() else PACKAGE.parent


def _directory(name: str, default: Path) -> Path:
    path = Path(os.environ.get(name) or default)
    if not path.is_absolute():
        raise ImproperlyConfigured(f"{name} must be an absolute path, not “{path}”.")
    return path


def _port(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ImproperlyConfigured(f"{name} must be a port from 1 to 65535, not “{text}”.")
    return int(text)


def _proxies() -> int:
    text = os.environ.get("AUTOSSL_PROXIES") or "0"
    if not text.isdecimal() or int(text) > 9:
        raise ImproperlyConfigured(f"AUTOSSL_PROXIES must be how many proxies stand in front, 0 to 9, not “{text}”.")
    return int(text)


def _default_state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/autossl-panel")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "autossl-panel"


def _secret_key(state_dir: Path) -> str:
    """The secret of AUTOSSL_SECRET_KEY, else the one kept in the state directory, made there (0600) when missing."""
    if given := os.environ.get("AUTOSSL_SECRET_KEY"):
        return given
    path = state_dir / "secret_key"
    try:
        _make_state_dir(state_dir)
        if not path.exists():
            _make_secret(path)
        secret = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"AUTOSSL_STATE_DIR {state_dir}: {error.strerror or error}. "
            "The panel keeps its secret key and database there; make it writable or name another directory."
        ) from error
    if len(secret) < 32:
        raise ImproperlyConfigured(f"{path} is damaged. Remove it and the panel makes a new secret key.")
    return secret


def _make_state_dir(path: Path) -> None:
    """The web server's workers must pass through to the helper's challenges; what is secret here is 0600 by itself."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)


def _private_file(path: Path) -> Path:
    """Make an empty file that only its owner reads, where none is: SQLite's journals take its mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return path


def _make_secret(path: Path) -> None:
    """Put a new secret at `path` whole: of several processes that start at once, the first one's stays."""
    draft = path.with_name(f".secret_key.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(50))
        stream.flush()
        os.fsync(stream.fileno())
    try:
        # Another process may have been first; then its secret is the one.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _smtp(text: str) -> tuple[str, int, str, str, bool, bool]:
    """A mail server as Django's settings have it: host, port, user, password, STARTTLS, TLS from the first byte.

    What is wrong is told without the URL, which has a password.
    """
    if not text:
        return "", 25, "", "", False, False

    def wrong(why: str) -> ImproperlyConfigured:
        return ImproperlyConfigured(f"AUTOSSL_SMTP_URL: {why} It is like smtp://USER:PASSWORD@mail.example.com:587.")

    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise wrong("the port is no number from 1 to 65535, or the address no address.") from None
    if url.scheme not in ("smtp", "smtps") or not url.hostname:
        raise wrong("it begins with smtp:// or smtps:// and names a host.")
    if url.path.strip("/") or url.fragment:
        raise wrong(
            "nothing stands behind the port but ?starttls=yes or no. / @ : # ? of a password are written as %2F."
        )
    wishes = dict(parse_qsl(url.query, keep_blank_values=True))
    if set(wishes) - {"starttls"} or wishes.get("starttls", "yes") not in ("yes", "no"):
        raise wrong("behind the “?” stands starttls=yes or starttls=no.")
    if bool(url.username) != bool(url.password):
        raise wrong("it has both, a user and a password, or none.")
    here = _is_loopback(url.hostname)
    starttls = url.scheme == "smtp" and wishes.get("starttls", "no" if here else "yes") == "yes"
    if url.password and not starttls and url.scheme == "smtp" and not here:
        raise wrong("with starttls=no the password would travel unencrypted.")
    port = port or (465 if url.scheme == "smtps" else 25 if here else 587)
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return url.hostname, port, user, password, starttls, url.scheme == "smtps"


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _mail_from(text: str, smtp: str) -> str:
    """The sender; with a mail server there has to be one."""
    if not smtp:
        return ""
    address = r"[^\s<>@,;:\"\\]+@[A-Za-z0-9.-]+"
    if not re.fullmatch(rf"{address}|[A-Za-z0-9 ._'&+-]* ?<{address}>", text, re.ASCII) or not text.isascii():
        told = f"not “{text}”" if text else "and is needed where AUTOSSL_SMTP_URL is set"
        raise ImproperlyConfigured(f"AUTOSSL_MAIL_FROM is a sender like AutoSSL <autossl@example.com>, {told}.")
    return text


AUTOSSL_STATE_DIR = _directory("AUTOSSL_STATE_DIR", _default_state_dir())
AUTOSSL_HELPER_DIR = _directory("AUTOSSL_HELPER_DIR", AUTOSSL_STATE_DIR / "helper")
AUTOSSL_RUN_DIR = _directory("AUTOSSL_RUN_DIR", AUTOSSL_STATE_DIR / "run")
AUTOSSL_HELPER_SOCKET = AUTOSSL_RUN_DIR / "helper.sock"
AUTOSSL_HOMES = _directory("AUTOSSL_HOMES", Path("/home"))
# Lines "SITE USER" or "/PREFIX/OF/DOCROOT USER": whose a site is, where its docroot does not tell
AUTOSSL_USER_MAP = os.environ.get("AUTOSSL_USER_MAP", "")
AUTOSSL_NGINX_BIN = os.environ.get("AUTOSSL_NGINX_BIN") or "nginx"
AUTOSSL_NGINX_CONF = _directory("AUTOSSL_NGINX_CONF", Path("/etc/nginx/nginx.conf"))
AUTOSSL_HTTP_PORT = _port("AUTOSSL_HTTP_PORT", 80)
AUTOSSL_HTTPS_PORT = _port("AUTOSSL_HTTPS_PORT", 443)
# How many proxies in front add to X-Forwarded-For: only what they add is believed
AUTOSSL_PROXIES = _proxies()
AUTOSSL_URL = (os.environ.get("AUTOSSL_URL") or "http://127.0.0.1:8000").rstrip("/")

# Where notifications leave by e-mail; without it none is sent
_smtp_url = os.environ.get("AUTOSSL_SMTP_URL", "").strip()
AUTOSSL_MAIL_FROM = _mail_from(os.environ.get("AUTOSSL_MAIL_FROM", "").strip(), _smtp_url)
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_TIMEOUT = 15
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL = _smtp(_smtp_url)

SECRET_KEY = _secret_key(AUTOSSL_STATE_DIR)
DEBUG = False

_url = urlsplit(AUTOSSL_URL)
if _url.scheme not in ("http", "https") or not _url.hostname:
    raise ImproperlyConfigured(f"AUTOSSL_URL must be like https://panel.example:2087, not “{AUTOSSL_URL}”.")
_https = _url.scheme == "https"
ALLOWED_HOSTS = [_url.hostname, "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{_url.scheme}://{_url.netloc}"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "autossl_session"
CSRF_COOKIE_NAME = "autossl_csrf"
CSRF_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if _https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "allauth.account",
    "allauth.mfa",
    "autossl_panel.people",
    "autossl_panel.hosting",
    "autossl_panel.autossl",
    "autossl_panel.web",
    "autossl_panel.api",
    # For their commands alone: the demo, the simulation.
    "autossl_panel.sandbox",
    "autossl_panel.simulation",
]
MIDDLEWARE = [
    "autossl_panel.web.roomy.Roomy",
    "django.middleware.security.SecurityMiddleware",
    "autossl_panel.web.static_files.StaticFiles",
    "django.middleware.gzip.GZipMiddleware",
    "autossl_panel.web.middleware.ContentSecurityPolicy",
    # Before all that is for browsers: a call of the API has no session, no cookie, no language
    "autossl_panel.api.middleware.Calls",
    "autossl_panel.web.middleware.SignInAgain",
    "autossl_panel.web.middleware.InWords",
    # Before what asks the database: PostgreSQL takes no NUL
    "autossl_panel.web.nul.NoNul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "autossl_panel.web.middleware.ComingFrom",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "autossl_panel.web.middleware.Viewer",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "autossl_panel.web.requirement.SecondFactorRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "autossl_panel.web.lost_forms.LostForms",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "autossl_panel.web.middleware.Htmx",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "autossl_panel.urls"
WSGI_APPLICATION = "autossl_panel.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ASSETS / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "loaders": [
                ("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"]),
            ],
        },
    }
]

_database_url = os.environ.get("DATABASE_URL")
if not _database_url:
    _make_state_dir(AUTOSSL_STATE_DIR)
    _database_url = f"sqlite:///{_private_file(AUTOSSL_STATE_DIR / 'autossl.sqlite3')}"
DATABASES = {"default": dj_database_url.parse(_database_url, conn_max_age=60)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Without these three, concurrent workers meet lock errors and lose results.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["autossl_panel.people.hashers.Argon2"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "sign-in"
SESSION_ENGINE = "autossl_panel.people.session_store"

# allauth: the second factor, passkeys and limits; the pages are ours, and what we have no page for has no address.
ACCOUNT_ADAPTER = "autossl_panel.people.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
# Mail addresses are no business of allauth's here.
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
# Passwords are counted in the database (people.sign_in); these hold per address, and for codes per person.
# Wrong tokens of the API are counted, too; one in ten minutes and address is told in the audit trail.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "20/m/ip,5/5m/key",
    "api_token": "20/m/ip",
    "api_token_told": "1/10m/ip",
}
MFA_ADAPTER = "autossl_panel.people.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# RFC 6238 §5.2: one step of 30 s for slow fingers and clocks; a code is taken once (people.factors).
MFA_TOTP_TOLERANCE = 1
# What limits count is kept in the one web process.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [PACKAGE / "locale"]
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [ASSETS / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    # htmx comes with django_htmx
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
]
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600

# Two processes beside the sentinel, so that heartbeats pass while the runner works; see docs/operating.md.
AUTOSSL_RUNNERS = 1
Q_CLUSTER = {
    "name": "autossl",
    "orm": "default",
    "workers": AUTOSSL_RUNNERS + 1,
    "queue_limit": 1,
    "bulk": 1,
    "poll": 1,
    "timeout": 600,
    "retry": 3600,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "label": "AutoSSL queue",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    # Its debug log prints EAB secrets and payloads.
    "loggers": {
        "acme": {"level": "WARNING"},
        "django-q": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
    },
}
