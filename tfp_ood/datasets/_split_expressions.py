# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Split expressions such as 'test[:100]', in a name or beside it."""

import tensorflow_datasets as tfds

__all__ = ['parse_name', 'selected_slices']


def parse_name(name, split=None):
  """Separates the data set from the split in a name.

  The last component of `name` is a split expression, except where it is the
  one component after the data set and names one of its TFDS configurations.

  Args:
    name: A TFDS name, with or without configuration and split:
      `'mnist'`, `'mnist/test[:80%]'`, `'imagenet_resized/32x32'` or
      `'imagenet_resized/32x32/validation'`.
    split: The split expression, if `name` has none.

  Returns:
    The pair `(name without split, split expression)`.

  Raises:
    ValueError: if the split is given twice or not at all.

  #### Examples

  >>> parse_name('mnist/test[:80%]')
  ('mnist', 'test[:80%]')
  >>> parse_name('imagenet_resized/32x32', 'train')
  ('imagenet_resized/32x32', 'train')
  """
  components = name.split('/')
  if len(components) > 2 or (
    len(components) == 2 and not _is_configuration(*components)
  ):
    in_name = components.pop()
    if split is not None:
      raise ValueError(
        f'The split is given twice: `name` {name!r} ends in {in_name!r}, and '
        f'`split` is {split!r}. Keep one of them.'
      )
    split = in_name
  if split is None:
    raise ValueError(
      f'No split is given for {name!r}: write it in `name`, as in '
      f"'{name}/test' or '{name}/test[:1000]', or pass `split`."
    )
  return '/'.join(components), split


def selected_slices(name, split, split_sizes):
  """Resolves a split expression against the sizes of the splits.

  Args:
    name: The data set's name, for error messages.
    split: A TFDS split expression, such as `'train[:80%]'`, `'train[10:20]'`
      or `'train+test[:10]'`.
    split_sizes: A dict from the names of the splits to numbers of examples.

  Returns:
    A list of `(split name, slice)`, to be read one after the other. The slices
    have a start and a stop, and select at least one example in all.

  Raises:
    ValueError: if the expression cannot be parsed, names a split that does not
      exist, reaches beyond its end or selects nothing.

  #### Examples

  >>> selected_slices('mnist', 'test[-10%:]', {'train': 500, 'test': 100})
  [('test', slice(90, 100, None))]
  """
  infos = {
    key: tfds.core.SplitInfo(name=key, shard_lengths=[size], num_bytes=0)
    for key, size in split_sizes.items()
  }
  available = ', '.join(
    f'{key} ({size} examples)' for key, size in split_sizes.items()
  )
  problem = f'Split {split!r} of data set {name!r}'
  try:
    read = tfds.core.ReadInstruction.from_spec(split).to_absolute(infos)
  except (ValueError, NotImplementedError) as error:
    # TFDS says what is wrong in the last line.
    reason = str(error).splitlines()[-1]
    raise ValueError(
      f'{problem} cannot be read: {reason}\nSplits available: {available}.'
    ) from error
  slices = [
    (one.splitname, slice(*slice(one.from_, one.to).indices(size)[:2]))
    for one in read
    for size in [split_sizes[one.splitname]]
  ]
  if not any(chosen.start < chosen.stop for _, chosen in slices):
    raise ValueError(
      f'{problem} selects no examples. Splits available: {available}.'
    )
  return slices


def _is_configuration(dataset, component):
  # Either may carry a version, as in 'mnist:3.0.1'.
  dataset, component = dataset.split(':')[0], component.split(':')[0]
  try:
    return component in tfds.builder_cls(dataset).builder_configs
  except ValueError:
    # Not a data set that TFDS has code for, so nothing is known about it.
    return False
