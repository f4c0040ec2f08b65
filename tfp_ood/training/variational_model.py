# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A variational autoencoder as a Keras model."""

import math

import tensorflow as tf

from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.training.distribution_model import DistributionModel

__all__ = ['VariationalModel']


class VariationalModel(DistributionModel):
  """A `tf_keras.Model` that fits a variational autoencoder by its ELBO.

  The loss of an image, in bits per dimension of the image, is

      (-reconstruction + weight * max(KL, free_bits)) / (D log 2)

  of the terms of `elbo_terms` in nats, with one draw of the latent for each
  image, another one in each step, and `D = height * width * channels`. `weight`
  rises to `beta`. The networks are in training mode in `fit`, and only there.

  Metrics are `loss`; `bits_per_dim` of the ELBO; `elbo`, `reconstruction` and
  `kl` in nats, plain, without weights. `evaluate` takes the fixed noise and the
  full `beta`; `predict` returns `log_prob`, which with more than one importance
  sample is a tighter bound than the ELBO.

  #### Examples

  >>> import tfp_ood
  >>> images = tfp_ood.datasets.load('sample_digits/train[:64]', batch_size=32)
  >>> vae = tfp_ood.distributions.variational_autoencoder(
  ...     [32, 32, 3], latent_size=4, hidden_channels=4, seed=1)
  >>> model = tfp_ood.training.VariationalModel(vae, warmup_steps=2)
  >>> model.compile(tfp_ood.training.adam(1e-3))
  >>> history = model.fit(images, epochs=2, verbose=0)
  >>> sorted(history.history)
  ['bits_per_dim', 'elbo', 'kl', 'loss', 'reconstruction']

  #### References

  [1]: Irina Higgins, Loic Matthey, Arka Pal, Christopher Burgess, Xavier Glorot,
       Matthew Botvinick, Shakir Mohamed, Alexander Lerchner. beta-VAE: Learning
       Basic Visual Concepts with a Constrained Variational Framework. In
       _International Conference on Learning Representations_, 2017.
  [2]: Samuel R. Bowman, Luke Vilnis, Oriol Vinyals, Andrew M. Dai, Rafal
       Jozefowicz, Samy Bengio. Generating Sentences from a Continuous Space. In
       _Computational Natural Language Learning_, 2016.
       https://arxiv.org/abs/1511.06349
  [3]: Diederik P Kingma, Tim Salimans, Rafal Jozefowicz, Xi Chen, Ilya
       Sutskever, Max Welling. Improving Variational Inference with Inverse
       Autoregressive Flow. In _Neural Information Processing Systems_, 2016.
       https://arxiv.org/abs/1606.04934
  """

  measure_names = ('loss', 'elbo', 'reconstruction', 'kl', 'bits_per_dim')

  def __init__(
    self,
    distribution,
    beta=1.0,
    warmup_steps=0,
    free_bits=0.0,
    seed=0,
    max_skipped_steps=0,
    name=None,
  ):
    """Instantiates the model.

    Args:
      distribution: `VariationalAutoencoder`, `Autoencoder` or another
        distribution of images with a method `elbo_terms(images, seed,
        training)`.
      beta: Python `float`, not negative, the weight of the divergence of the
        posterior from the prior: 1 for the ELBO, more for a beta-VAE [1].
      warmup_steps: Python `int`, over how many steps the weight rises linearly
        from `beta / warmup_steps` to `beta` [2]. The count is the optimizer's and
        goes on where an interrupted training does.
      free_bits: Python `float`, in bits per image: a divergence below this costs
        as much as this, so that nothing is gained by a latent that says less.
        As in [3], with all dimensions of the latent in one group and each image
        by itself.
      seed: Python `int`, or a pair of them, from which the noise of each step and
        replica is derived.
      max_skipped_steps: Python `int`; see `DistributionModel`.
      name: Python `str`, the name of the model.

    Raises:
      ValueError: if the distribution has nothing to train or no `elbo_terms`, or
        a number is out of range.
    """
    super().__init__(distribution, seed, max_skipped_steps, name)
    if not hasattr(distribution, 'elbo_terms'):
      raise ValueError(
        f'VariationalModel: {distribution.name} has no method `elbo_terms`; '
        'DistributionModel trains by `log_prob` alone.'
      )
    for number, description in (
      (beta, 'beta'),
      (warmup_steps, 'warmup_steps'),
      (free_bits, 'free_bits'),
    ):
      if not number >= 0:
        raise ValueError(
          f'VariationalModel: `{description}` must not be negative, got {number}.'
        )
    self._beta = beta
    self._warmup_steps = warmup_steps
    self._free_nats = free_bits * math.log(2)

  def example_losses(self, x, y, seed):
    """Returns the weighted terms of the bound; see `DistributionModel`."""
    del y
    if seed is None:
      return self.weighted_terms(self.distribution.elbo_terms(x), self._beta)
    terms = self.distribution.elbo_terms(x, seed=seed, training=True)
    return self.weighted_terms(terms, self._kl_weight())

  def _kl_weight(self):
    if not self._warmup_steps:
      return self._beta
    step = tf.cast(self.optimizer.iterations + 1, tf.float32)
    return self._beta * tf.minimum(step / self._warmup_steps, 1.0)

  def weighted_terms(self, terms, weight):
    """Puts the terms of the bound together.

    Args:
      terms: what `elbo_terms` returned.
      weight: scalar, that of the divergence.

    Returns:
      loss: `Tensor` of shape `[batch]`, in bits per dimension.
      measures: `dict` from `measure_names`.
    """
    kl = -(terms.log_prior + terms.posterior_entropy)
    elbo = terms.reconstruction - kl
    penalty = tf.cast(weight, kl.dtype) * tf.maximum(kl, self._free_nats)
    loss = bits_per_dim(terms.reconstruction - penalty, self._event_size)
    return loss, {
      'loss': loss,
      'elbo': elbo,
      'reconstruction': terms.reconstruction,
      'kl': kl,
      'bits_per_dim': bits_per_dim(elbo, self._event_size),
    }
