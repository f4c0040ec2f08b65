# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Packaging of tfp_ood."""

import pathlib
import re

import setuptools

_ROOT = pathlib.Path(__file__).parent
_VERSION = re.search(
  r"^__version__ = '([^']+)'",
  (_ROOT / 'tfp_ood' / '__init__.py').read_text(encoding='utf-8'),
  re.MULTILINE,
).group(1)

_BEAM = [
  'apache-beam>=2.77,<3',
  'google-crc32c>=1.5,<2',
  'pyarrow>=20,<27',
]

setuptools.setup(
  name='tfp_ood',
  version=_VERSION,
  description='Out-of-distribution detection with deep generative models, for '
  'TensorFlow Probability',
  long_description=(_ROOT / 'README.md').read_text(encoding='utf-8'),
  long_description_content_type='text/markdown',
  author='The tfp_ood Authors',
  license_expression='Apache-2.0',
  license_files=['LICENSE'],
  keywords=[
    'anomaly detection',
    'conformal prediction',
    'deep generative models',
    'normalizing flows',
    'out-of-distribution detection',
    'probabilistic programming',
    'tensorflow',
    'tensorflow probability',
    'variational autoencoders',
  ],
  classifiers=[
    'Development Status :: 4 - Beta',
    'Intended Audience :: Developers',
    'Intended Audience :: Education',
    'Intended Audience :: Science/Research',
    'Operating System :: OS Independent',
    'Programming Language :: Python :: 3',
    'Programming Language :: Python :: 3 :: Only',
    'Programming Language :: Python :: 3.10',
    'Programming Language :: Python :: 3.11',
    'Programming Language :: Python :: 3.12',
    'Programming Language :: Python :: 3.13',
    'Topic :: Scientific/Engineering :: Artificial Intelligence',
    'Topic :: Scientific/Engineering :: Image Recognition',
  ],
  packages=setuptools.find_packages(include=['tfp_ood', 'tfp_ood.*']),
  package_data={'tfp_ood': ['py.typed', 'pretrained/*.npz']},
  # TensorFlow 2.21 has wheels for these.
  python_requires='>=3.10,<3.14',
  install_requires=[
    'absl-py>=2.1,<3',
    # TensorFlow Datasets needs it and does not say so.
    'importlib_resources>=6,<8',
    'keras>=3.10,<4',
    'matplotlib>=3.9,<4',
    'numpy>=2.0,<3',
    'pillow>=11,<14',
    'scikit-learn>=1.5,<2',
    'scipy>=1.13,<2',
    # TFP 0.25 and tf_keras must fit TensorFlow exactly: a new release of one
    # does not work with an old one of another.
    'tensorflow>=2.21,<2.22',
    'tensorflow-datasets>=4.9.10,<4.10',
    'tensorflow-probability>=0.25,<0.26',
    'tf-keras>=2.21,<2.22',
    'threadpoolctl>=3.1,<4',
    'tqdm>=4.66,<5',
  ],
  entry_points={'console_scripts': ['tfp-ood = tfp_ood.cli.main:main']},
  extras_require={
    'beam': _BEAM,
    # From Python 3.11 on.
    'docs': [
      'ipykernel>=6.29,<8',
      'mkdocstrings-python>=2.0,<3',
      'nbclient>=0.10,<0.12',
      'ruff>=0.17,<0.18',
      'zensical>=0.0.73,<0.1',
    ],
    'genomes': ['biopython>=1.85,<2'],
    'gpu': ['tensorflow[and-cuda]>=2.21,<2.22'],
    'test': [
      *_BEAM,
      'biopython>=1.85,<2',
      'pytest>=8,<10',
      'pytest-xdist>=3.6,<4',
      'ruff>=0.17,<0.18',
      'tensorboard>=2.19,<3',
      'tensorflow-serving-api>=2.21,<2.22',
    ],
  },
)
