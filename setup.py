"""What the wheel carries. All else is in pyproject.toml; only code can put top-level folders inside the package."""

from pathlib import Path

from setuptools import find_packages, setup


def below(folder: str) -> list[str]:
    """Every file of a top-level folder, relative to it."""
    return [str(path.relative_to(folder)) for path in sorted(Path(folder).rglob("*")) if path.is_file()]


setup(
    packages=[*find_packages(include=["autossl_panel*"]), "autossl_panel.templates", "autossl_panel.static"],
    package_dir={"autossl_panel.templates": "templates", "autossl_panel.static": "static"},
    package_data={
        "autossl_panel": ["py.typed", "locale/*/LC_MESSAGES/*.mo"],
        "autossl_panel.templates": below("templates"),
        "autossl_panel.static": below("static"),
    },
    include_package_data=False,
)
