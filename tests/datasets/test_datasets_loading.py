# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets.loading."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import datasets
from tfp_ood.datasets import _sample, loading


def _arrays(*arguments, **keywords):
  batches = list(datasets.load(*arguments, **keywords).as_numpy_iterator())
  images, labels = zip(*batches, strict=True)
  return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize(
  'name', ['sample_photographs/test', 'sample_digits/test', 'uniform_noise']
)
def test_static_shapes_and_dtypes(name):
  images, labels = datasets.load(name).element_spec
  assert (images.shape.as_list(), images.dtype) == ([None, 32, 32, 3], 'uint8')
  assert (labels.shape.as_list(), labels.dtype) == ([None], 'int64')


def test_ragged_last_batch():
  dataset = datasets.load('sample_digits/test[:100]', batch_size=32)
  assert dataset.cardinality() == 4
  assert [images.shape[0] for images, _ in dataset] == [32, 32, 32, 4]


def test_dropped_remainder():
  dataset = datasets.load(
    'sample_digits/test[:100]', batch_size=32, drop_remainder=True
  )
  assert dataset.cardinality() == 3
  assert dataset.element_spec[0].shape == (32, 32, 32, 3)
  assert len(list(dataset)) == 3


def test_dropped_remainder_of_too_few():
  with pytest.raises(ValueError, match='`batch_size` must be at most 10, the'):
    datasets.load('sample_digits/test[:10]', drop_remainder=True)


@pytest.mark.parametrize(
  'split, part',
  [
    ('test', slice(None)),
    ('test[:80%]', slice(400)),
    ('test[10:20]', slice(10, 20)),
    ('test[-7:]', slice(493, None)),
  ],
)
def test_split_expressions_of_the_sample(split, part):
  images, labels = _sample.sample_arrays('sample_digits')['test']
  loaded_images, loaded_labels = _arrays('sample_digits', split)
  np.testing.assert_array_equal(loaded_images, images[part])
  np.testing.assert_array_equal(loaded_labels, labels[part])
  assert datasets.num_examples('sample_digits', split) == len(labels[part])


def test_added_splits_of_the_sample():
  splits = _sample.sample_arrays('sample_digits')
  images, _ = _arrays('sample_digits/test[:3]+train[:2]')
  np.testing.assert_array_equal(images[:3], splits['test'][0][:3])
  np.testing.assert_array_equal(images[3:], splits['train'][0][:2])


def test_limit_takes_the_first():
  images, _ = _arrays('sample_digits/test', limit=50)
  np.testing.assert_array_equal(
    images, _sample.sample_arrays('sample_digits')['test'][0][:50]
  )
  dataset = datasets.load('sample_digits/test', limit=50, batch_size=20)
  assert dataset.cardinality() == 3


def test_limit_comes_before_shuffle():
  _, plain = _arrays('sample_digits/test', limit=50)
  _, shuffled = _arrays('sample_digits/test', limit=50, shuffle=True)
  assert plain.tolist() != shuffled.tolist()
  assert sorted(plain) == sorted(shuffled)


def test_shuffle_follows_the_seed_and_keeps_pairs():
  # The label of a constant image is its level, so pairs can be checked.
  images, first = _arrays('constant', shuffle=True, seed=1)
  _, again = _arrays('constant', shuffle=True, seed=1)
  _, other = _arrays('constant', shuffle=True, seed=2)
  np.testing.assert_array_equal(images[:, 0, 0, 0], first)
  assert first.tolist() == again.tolist()
  assert first.tolist() != other.tolist()
  assert first.tolist() != sorted(first)


def test_shuffle_anew_in_each_iteration():
  dataset = datasets.load('sample_digits/test', batch_size=500, shuffle=True)
  (_, first), (_, second) = next(iter(dataset)), next(iter(dataset))
  assert first.numpy().tolist() != second.numpy().tolist()
  assert sorted(first.numpy()) == sorted(second.numpy())


def test_shuffle_in_a_window_of_bounded_memory(monkeypatch):
  monkeypatch.setattr(loading, '_SHUFFLE_BUFFER_BYTES', 10 * 32 * 32 * 3)
  _, levels = _arrays('constant', shuffle=True, num_examples=256)
  # With a window of 10, the example at place i is one of the first i + 10.
  assert np.all(levels < np.arange(256) + 10)
  assert sorted(levels) == list(range(256))
  assert levels.tolist() != sorted(levels)


def test_repeat_has_no_end():
  dataset = datasets.load('sample_digits/test[:10]', batch_size=6, repeat=True)
  assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
  labels = np.concatenate([labels for _, labels in dataset.take(5)])
  np.testing.assert_array_equal(labels[:10], labels[10:20])


@pytest.mark.parametrize('name', ['sample_photographs/test', 'uniform_noise'])
def test_two_loads_are_the_same(name):
  first, second = _arrays(name, limit=100), _arrays(name, limit=100)
  np.testing.assert_array_equal(first[0], second[0])
  np.testing.assert_array_equal(first[1], second[1])


def test_noise_follows_the_seed_and_not_the_batch_size():
  first, _ = _arrays('uniform_noise', seed=5, num_examples=20)
  again, _ = _arrays('uniform_noise', seed=5, num_examples=20, batch_size=7)
  other, _ = _arrays('uniform_noise', seed=6, num_examples=20)
  np.testing.assert_array_equal(first, again)
  assert np.any(first != other)


def test_size_and_shape_of_a_control():
  images, labels = _arrays('constant/7', image_shape=(4, 5, 1), num_examples=70)
  assert images.shape == (70, 4, 5, 1)
  assert np.all(images == 7)
  assert np.all(labels == 7)


def test_transformation():
  plain, labels = _arrays('sample_digits/test[:70]')
  images, same_labels = _arrays(
    'sample_digits/test[:70]', transformation=datasets.grayscale
  )
  np.testing.assert_array_equal(images, datasets.grayscale(plain))
  np.testing.assert_array_equal(labels, same_labels)


def _random_batches(count=3, **kwargs):
  dataset = datasets.load(
    'constant/100',
    num_examples=10 * count,
    batch_size=10,
    random_transformation=lambda images, seed: datasets.mutate(
      images, 0.5, seed
    ),
    **kwargs,
  )
  return dataset, lambda: np.stack([images for images, _ in dataset])


def test_random_transformation_is_another_for_each_batch():
  dataset, read = _random_batches()
  first, second = read(), read()
  batches = [*first, *second]
  for index, batch in enumerate(batches):
    assert 0.45 < np.mean(batch != 100) < 0.55
    for other in batches[:index]:
      # Independent: a quarter of the values is kept by both.
      assert np.mean(batch == other) == pytest.approx(0.25, abs=0.02)
  assert dataset.cardinality() == 3
  (_, labels), *_ = dataset
  np.testing.assert_array_equal(labels, np.full(10, 100))


def test_random_transformation_follows_the_seed():
  runs = []
  for seed in (1, 1, 2):
    _, read = _random_batches(seed=seed)
    runs.append(np.concatenate([read(), read()]))
  first, again, other = runs
  np.testing.assert_array_equal(first, again)
  assert np.mean(first == other) == pytest.approx(0.25, abs=0.02)


def test_random_transformation_of_an_endless_data_set():
  dataset, _ = _random_batches(1, repeat=True)
  assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
  first, second = (images.numpy() for images, _ in dataset.take(2))
  assert np.any(first != second)


def test_random_transformation_gets_a_seed_and_the_transformed_images():
  seen = []

  def random_transformation(images, seed):
    seen.append((images.dtype, seed.dtype, seed.shape.as_list()))
    # What came before was rounded; this is rounded again.
    return tf.cast(images, tf.float32) + 0.6

  dataset = datasets.load(
    'constant/100',
    num_examples=4,
    transformation=lambda images: tf.cast(images, tf.float32) + 0.6,
    random_transformation=random_transformation,
  )
  ((images, labels),) = dataset
  assert images.dtype == tf.uint8
  assert np.all(images == 102) and np.all(labels == 100)
  assert seen[0] == (tf.uint8, tf.int32, [2])
  with pytest.raises(ValueError, match='must return images'):
    datasets.load(
      'constant/9', random_transformation=lambda images, seed: images[..., 0]
    )


@pytest.mark.parametrize(
  'value, pixel', [(1.5, 2), (2.5, 2), (-3.0, 0), (254.6, 255), (300.0, 255)]
)
def test_transformation_is_rounded_half_to_even_and_clipped(value, pixel):
  images, _ = _arrays(
    'constant/9',
    num_examples=3,
    transformation=lambda images: (
      tf.fill(tf.shape(images), value)[:, :2, :2] + tf.zeros([2, 2, 3])
    ),
  )
  assert images.dtype == np.uint8
  assert images.shape == (3, 2, 2, 3)
  assert np.all(images == pixel)


def test_transformation_that_is_not_finite():
  dataset = datasets.load(
    'constant/9',
    transformation=lambda images: tf.cast(images, tf.float32) * float('nan'),
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match='finite pixels'):
    next(iter(dataset))


@pytest.mark.parametrize(
  'transformation',
  [
    lambda images: images[..., 0],
    lambda images: images[:, : tf.random.uniform([], 1, 9, tf.int32)],
  ],
)
def test_transformation_of_unknown_or_wrong_shape(transformation):
  with pytest.raises(ValueError, match='`transformation` must return images'):
    datasets.load('constant/9', transformation=transformation)


@pytest.mark.parametrize('argument', ['batch_size', 'limit'])
@pytest.mark.parametrize('value', [0, -1, 1.5])
def test_sizes_must_be_positive(argument, value):
  with pytest.raises(ValueError, match=f'`{argument}` must be a positive int'):
    datasets.load('sample_digits/test', **{argument: value})


def test_no_split_is_not_guessed():
  with pytest.raises(ValueError, match="No split is given for 'sample_digits'"):
    datasets.load('sample_digits')


def test_split_given_twice():
  with pytest.raises(ValueError, match='split is given twice'):
    datasets.load('sample_digits/test', 'train')


def test_absent_split_of_the_sample():
  with pytest.raises(ValueError, match="Unknown split 'validation'"):
    datasets.load('sample_digits/validation')


def test_controls_have_no_splits():
  with pytest.raises(ValueError, match='`split` must be None for'):
    datasets.load('uniform_noise', 'test')


def test_controls_have_no_number():
  with pytest.raises(ValueError, match='is a control: it has as many'):
    datasets.num_examples('uniform_noise')
