# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""One run of a recipe: its settings, its data, its folder."""

import os
import time

import numpy as np

from tfp_ood import datasets, evaluation, reporting, training

__all__ = ['Run']

_NUM_CONTROLS = 1_000
_NUM_VALIDATION = 1_000


class Run:
  """A recipe with settings, data sets and a folder.

  The folder holds configuration.json, weights and training.json of each model that
  is trained, in folders of their own where there are several; statistics/, of each
  data set, example by example; results.json, evaluation.npz and report.html, what
  came out; and detector/, for programs that have only TensorFlow.

  Attributes:
    model: `dict` of settings that decide the model.
    evaluation: `dict` of those that decide the results alone.
    datasets: `dict` of all data sets to score by name, in the shape of the training
      images; `test` and `train` are the names of the in-distribution ones.
    strategy: `tf.distribute.Strategy` to train under.

  #### Example

  >>> import tempfile
  >>> import tfp_ood
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   run = Run(
  ...       tfp_ood.recipes.glow, folder, 'sample_photographs', ['sample_digits'],
  ...       preset='tiny', num_evaluated=40)
  ...   run.is_complete()  # `run.run()` trains, scores and writes the report.
  False
  >>> list(run.others)
  ['sample_digits test', 'constant', 'uniform_noise']
  >>> run.image_shape
  TensorShape([32, 32, 3])
  """

  def __init__(
    self,
    recipe,
    folder,
    in_distribution,
    out_of_distribution,
    preset='small',
    settings=None,
    num_evaluated=10_000,
    strategy='default',
    train_split='train',
    test_split='test',
    data_dir=None,
    tensorboard=False,
    name='',
    shard_files=False,
  ):
    """Sets up a run; finds out whether all data sets are there.

    Args:
      recipe: `Recipe`.
      folder: `str`.
      in_distribution: name of the data set to train on; see
        `tfp_ood.datasets.load`.
      out_of_distribution: list of names, of which the test splits are scored.
      preset: one of `PRESETS`.
      settings: `dict` of settings of the recipe in the place of their defaults.
      num_evaluated: Python `int`: at most so many examples of each data set are
        scored.
      strategy: name of the strategy to train under; see `make_strategy`.
      train_split: `str`, such as `'train[:80%]'`.
      test_split: `str`, to test on, and to calibrate on.
      data_dir: folder of prepared TFDS data sets.
      tensorboard: Python `bool`, whether to write TensorBoard logs.
      name: `str`, that of the model, for the report.
      shard_files: Python `bool`, whether each of several workers trains on record
        files of its own; see `train_or_restore`.
    """
    self.folder = folder
    self.strategy = training.make_strategy(strategy)
    self.is_chief = self.strategy.extended.should_checkpoint
    self.preset = preset
    self._recipe = recipe
    self._name = in_distribution
    self._splits = {'train': train_split, 'test': test_split}
    self._data_dir, self._tensorboard = data_dir, tensorboard
    self._shard_files = shard_files
    model, evaluated = recipe.settings(preset, settings)
    self.model = {
      'model': name,
      'preset': preset,
      'in_distribution': in_distribution,
      'train_split': train_split,
      'test_split': test_split,
      'strategy': strategy,
      'shard_files': shard_files,
      **model,
    }
    self.evaluation = {
      'out_of_distribution': out_of_distribution,
      'num_evaluated': num_evaluated,
      **evaluated,
    }
    self.image_shape = None
    self.image_shape = self.load('train').element_spec[0].shape[1:]
    self.test, self.train = f'{self._name} test', f'{self._name} train'
    self.datasets = self._datasets(out_of_distribution, num_evaluated)

  def load(self, part, name=None, transformation=None, **options):
    """Loads a data set in the shape of the training images.

    Args:
      part: `'train'` or `'test'`.
      name: of the data set. Default: the in-distribution one.
      transformation: function of a batch of images in that shape.
      **options: passed to `tfp_ood.datasets.load`.

    Returns:
      `tf.data.Dataset` of images and labels.
    """
    split = part if name else self._splits[part]

    def transform(images):
      images = datasets.fit_to_shape(images, self.image_shape)
      return images if transformation is None else transformation(images)

    return datasets.load(
      f'{name or self._name}/{split}',
      data_dir=self._data_dir,
      seed=self.model['seed'],
      transformation=transform if self.image_shape else None,
      **{'batch_size': self.model['batch_size'], **options},
    )

  def _datasets(self, others, limit):
    controls = {
      name: datasets.load(
        name,
        image_shape=self.image_shape,
        num_examples=min(limit, _NUM_CONTROLS),
        batch_size=self.model['batch_size'],
      )
      for name in ('constant', 'uniform_noise')
    }
    return {
      self.test: self.load('test', limit=limit),
      self.train: self.load('train', limit=limit),
      **{
        f'{name} test': self.load('test', name, limit=limit) for name in others
      },
      **controls,
    }

  @property
  def others(self):
    """The data sets out of distribution, by name."""
    inside = (self.test, self.train)
    return {name: d for name, d in self.datasets.items() if name not in inside}

  @property
  def compared(self):
    """The test data, and the first data set out of distribution, by name."""
    names = (self.test, next(iter(self.others)))
    return {name: self.datasets[name] for name in names}

  def labels(self, name):
    """Returns the labels of a data set, an integer array."""
    return np.concatenate([labels for _, labels in self.datasets[name]])

  def fit(self, model, folder, settings, scores, **options):
    """Trains a compiled model, or restores it; see `train_or_restore`.

    Args:
      model: `DistributionModel`.
      folder: `str`, within that of the run.
      settings: `dict`, all that decides what is trained.
      scores: `dict` of scores to watch on the first other data set.
      **options: passed to `train_or_restore`.

    Returns:
      `dict` of how the training went.
    """
    validation = self.load('test', limit=_NUM_VALIDATION)
    name, outside = next(iter(self.others.items()))
    outside = outside.take(-(-_NUM_VALIDATION // self.model['batch_size']))
    return training.train_or_restore(
      model,
      os.path.join(self.folder, folder),
      settings,
      options.pop('dataset', None) or self.load('train', shuffle=True),
      validation_data=validation,
      callbacks=[
        training.Watch(model.distribution, scores, validation, {name: outside})
      ],
      tensorboard=self._tensorboard,
      shard_files=self._shard_files,
      **options,
    )

  def evaluate(self, model, scores, folder='', limit=None, **options):
    """Scores all data sets; see `tfp_ood.evaluation.evaluate`.

    Args:
      model: any model.
      scores: `dict` of scores.
      folder: `str`, within that of the run.
      limit: Python `int`, about how many examples of each data set are enough.
      **options: passed to `evaluate`.

    Returns:
      `Evaluation`.
    """
    count = None if limit is None else -(-limit // self.model['batch_size'])
    data = {
      name: dataset if count is None else dataset.take(count)
      for name, dataset in self.datasets.items()
    }
    return evaluation.evaluate(
      model,
      scores,
      {self.test: data.pop(self.test)},
      training={self.train: data.pop(self.train)},
      out_of_distribution=data,
      folder=os.path.join(self.folder, folder),
      **options,
    )

  def is_complete(self):
    """Whether the folder has the results of this run.

    Raises:
      OtherSettingsError: if it holds a run of other settings of the model.
    """
    training.check_settings(self.folder, self.model)
    path = os.path.join(self.folder, 'results.json')
    if not os.path.exists(path):
      return False
    return reporting.read_results(path)['evaluation'] == self.evaluation

  def run(self, information=None):
    """Trains what is not trained, scores what is not scored, and writes the report.

    Args:
      information: `dict` of what the report is to say, such as the command.

    Returns:
      `Evaluation`; `None` on a worker that writes no files.
    """
    start = time.monotonic()
    training.keep_settings(self.folder, self.model, self.is_chief)
    found = self._recipe.function(self)
    if not self.is_chief:
      return None
    result, score = found
    path = os.path.join(self.folder, 'detector')
    result.detector(score).export_saved_model(path)
    result.information |= {
      'title': f'{self._recipe.title} trained on {self._name}',
      **(information or {}),
      'configuration': self.model,
      'evaluation': self.evaluation,
      'seconds': time.monotonic() - start,
    }
    result.write_report(self.folder)
    result.save(self.folder)
    return result
