"""Metadata of mmrot; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"'(.+)'", (ROOT / 'mmrot/version.py').read_text())[1]

setup(
    name='mmrot',
    version=VERSION,
    description='Self-supervised pretraining by rotation prediction for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.14',
    entry_points={'console_scripts': ['mmrot = mmrot.cli:main']},
    packages=find_packages(include=['mmrot', 'mmrot.*']),
    # configs, tools and the index files are links to the top of the checkout;
    # a wheel holds copies of what they point to.
    package_data={
        'mmrot': [
            'results/published.json',
            'configs/**/*',
            '.mim/configs/**/*',
            '.mim/tools/**/*',
            '.mim/*.yml',
        ]
    },
    # The mm packages are in requirements.txt only: naming one family here would
    # install it over another one that has the same import names.
    install_requires=[
        'torch>=2.6',
        'torchvision',
        'scikit-learn>=1.3',
        'joblib>=1.4',
        'rich',
        'matplotlib',
        'filelock',
        'fsspec',
    ],
    extras_require={'vis': ['tensorboard', 'wandb']},  # for --vis
    classifiers=[
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
    ],
)
