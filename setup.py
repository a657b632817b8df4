"""Finds the packages: three top-level folders are ``counterproof`` and two packages in it.

``pyproject.toml`` holds everything else; its ``find`` table knows one root only.
"""

from setuptools import find_packages, setup

ROOMS = {"audit": "counterproof", "metrics": "counterproof.metrics", "reports": "counterproof.reports"}

setup(
    packages=[
        name
        for folder, package in ROOMS.items()
        for name in (package, *(f"{package}.{found}" for found in find_packages(folder)))
    ],
    package_dir={package: folder for folder, package in ROOMS.items()},
)
