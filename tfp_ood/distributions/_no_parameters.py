# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What distributions without batches of parameters tell TFP."""

__all__ = ['NoParameters']


class NoParameters:
  """A second base class of distributions whose arguments are not parameters.

  TFP warns of each derived class that takes arguments and does not say itself what
  its parameters are, for instance where a `tf.Module` that has it is saved.
  """

  def __init_subclass__(cls, **kwargs):
    super().__init_subclass__(**kwargs)
    cls._parameter_properties = classmethod(_none)


def _none(cls, dtype, num_classes=None):
  del cls, dtype, num_classes
  return {}
