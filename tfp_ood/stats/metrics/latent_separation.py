# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Linear separation of in- and out-of-distribution latents."""

import typing

import numpy as np
from sklearn import model_selection, pipeline, preprocessing, svm

from tfp_ood.stats.metrics import _features
from tfp_ood.stats.metrics.bootstrap import (
  BootstrapConfidenceInterval,
  bootstrap_confidence_interval,
)
from tfp_ood.stats.metrics.delong import (
  AurocConfidenceInterval,
  auroc_confidence_interval,
)

__all__ = ['LatentSeparation', 'latent_separation']


class LatentSeparation(typing.NamedTuple):
  """How well a hyperplane separates latents, and where it lies.

  The signed distance of a latent from it is `direction . latent + offset`, in
  the units of the latents, positive on the out-of-distribution side.

  Attributes:
    accuracy_in: `BootstrapConfidenceInterval` of the fraction of in-distribution
      latents on their side, out of fold.
    accuracy_out: the same of out-of-distribution latents.
    auroc: `AurocConfidenceInterval` of the distances, out of fold.
    direction: float64 array of shape `[size]` and length 1, of all examples.
    offset: `float`, of all examples.
  """

  accuracy_in: BootstrapConfidenceInterval
  accuracy_out: BootstrapConfidenceInterval
  auroc: AurocConfidenceInterval
  direction: np.ndarray
  offset: float


def latent_separation(
  latents_in, latents_out, num_folds=5, confidence_level=0.95, seed=0
):
  """Separates latents of two data sets by a linear support vector machine.

  This is an analysis, not a detector: it learns from out-of-distribution
  examples. It asks whether a model's latents tell two data sets apart, even if
  its likelihood does not [1]. For detection without such examples, fit
  `DensityOfStates(('latent',), 'one_class_svm')` or its other methods.

  Accuracies and AUROC are of predictions out of fold, by stratified
  cross-validation: no latent is judged by a machine that has seen it. Both data
  sets weigh the same, whatever their sizes. Latents are standardized for the
  machine; the hyperplane is given in their own units. Intervals cover the chance
  in drawing the latents that are judged, not that in fitting the machines; those
  of accuracies are by bootstrap and have no width at 0 and 1.

  In as many dimensions as there are examples almost any two sets can be
  separated, though not out of fold.

  Args:
    latents_in: array-like of shape `[examples, size]`, such as the statistic
      `latent` of in-distribution images, at least `num_folds` of them.
    latents_out: array-like of shape `[examples, size]`, of out-of-distribution
      images, at least `num_folds` of them.
    num_folds: Python `int`, at least 2.
    confidence_level: `float` strictly between 0 and 1.
    seed: Python `int`, of folds and resamples.

  Returns:
    `LatentSeparation`.

  Raises:
    ValueError: if latents are not of rank 2, too few or not finite, their sizes
      differ, or there are fewer than two folds.

  #### Example

  >>> import numpy as np
  >>> generator = np.random.default_rng(0)
  >>> latents_in = generator.normal(size=[100, 2])
  >>> latents_out = generator.normal(size=[100, 2]) + [6., 0.]
  >>> separation = latent_separation(latents_in, latents_out)
  >>> separation.accuracy_out.estimate > 0.9
  True
  >>> bool(separation.direction[0] > 0.9)
  True

  #### References

  [1]: Yujun Shen, Jinjin Gu, Xiaoou Tang, Bolei Zhou. Interpreting the Latent
       Space of GANs for Semantic Face Editing. _Computer Vision and Pattern
       Recognition_, 2020. https://arxiv.org/abs/1907.10786
  """
  if num_folds < 2:
    raise ValueError(
      f'`num_folds` must be at least 2, and 5 is usual; got {num_folds}.'
    )
  latents_in = _features.checked_features(latents_in, 'latents_in', num_folds)
  latents_out = _features.checked_features(
    latents_out, 'latents_out', num_folds
  )
  _features.check_same_size(latents_in=latents_in, latents_out=latents_out)
  latents = np.concatenate([latents_in, latents_out])
  is_out = np.arange(len(latents)) >= len(latents_in)
  machine = pipeline.make_pipeline(
    preprocessing.StandardScaler(),
    svm.LinearSVC(class_weight='balanced', random_state=seed),
  )
  distances = model_selection.cross_val_predict(
    machine,
    latents,
    is_out,
    cv=model_selection.StratifiedKFold(
      num_folds, shuffle=True, random_state=seed
    ),
    method='decision_function',
  )
  distances_in, distances_out = np.split(distances, [len(latents_in)])

  def interval(metric):
    return bootstrap_confidence_interval(
      metric,
      distances_in,
      distances_out,
      confidence_level=confidence_level,
      seed=seed,
    )

  return LatentSeparation(
    interval(lambda scores_in, scores_out: np.mean(scores_in <= 0)),
    interval(lambda scores_in, scores_out: np.mean(scores_out > 0)),
    auroc_confidence_interval(distances_in, distances_out, confidence_level),
    *_hyperplane(machine.fit(latents, is_out)),
  )


def _hyperplane(machine):
  """Returns unit direction and offset, in units of the latents."""
  scaler, classifier = (step for _, step in machine.steps)
  direction = classifier.coef_[0] / scaler.scale_
  offset = classifier.intercept_[0] - direction @ scaler.mean_
  length = np.linalg.norm(direction)
  if not length:
    raise ValueError(
      'latent_separation: all latents are alike; there is nothing to separate.'
    )
  return direction / length, float(offset / length)
