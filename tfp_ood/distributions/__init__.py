# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models of images, and the priors, posteriors and likelihoods they are made of."""

from tfp_ood.distributions.autoregressive.markov_mixture import MarkovMixture
from tfp_ood.distributions.autoregressive.pixel_cnn import (
  PixelCnn,
  pixel_cnn,
)
from tfp_ood.distributions.autoregressive.sequence_model import (
  SequenceModel,
  sequence_model,
)
from tfp_ood.distributions.categorical import Categorical
from tfp_ood.distributions.discretized_logistic import DiscretizedLogistic
from tfp_ood.distributions.glow import constant_volume_glow, glow
from tfp_ood.distributions.image_flow import ImageFlow, LogProbTerms
from tfp_ood.distributions.learned_normal import learned_normal
from tfp_ood.distributions.raw_pixel_distribution import RawPixelDistribution
from tfp_ood.distributions.rendering.layerwise_switch_prior import (
  LayerwiseSwitchPrior,
)
from tfp_ood.distributions.rendering.neural_rendering_model import (
  JointMap,
  NeuralRenderingModel,
  RenderingInference,
  RenderingTerms,
)
from tfp_ood.distributions.rendering.structured_switch_prior import (
  LogNormalizer,
  StructuredSwitchPrior,
)
from tfp_ood.distributions.variational.autoencoder import Autoencoder
from tfp_ood.distributions.variational.convolutional_autoencoders import (
  autoencoder,
  flow_variational_autoencoder,
  variational_autoencoder,
)
from tfp_ood.distributions.variational.flow_decoder_layer import (
  FlowDecoderLayer,
)
from tfp_ood.distributions.variational.flow_variational_autoencoder import (
  FlowVariationalAutoencoder,
)
from tfp_ood.distributions.variational.latent_priors import (
  autoregressive_flow_prior,
  normal_mixture_prior,
)
from tfp_ood.distributions.variational.pixel_likelihoods import (
  pixel_likelihood,
)
from tfp_ood.distributions.variational.posterior_layers import (
  ConditionalCouplingNormal,
  InverseAutoregressiveNormal,
  posterior_layer,
)
from tfp_ood.distributions.variational.vamp_prior import VampPrior
from tfp_ood.distributions.variational.variational_autoencoder import (
  ElboTerms,
  VariationalAutoencoder,
)

__all__ = [
  'Autoencoder',
  'Categorical',
  'ConditionalCouplingNormal',
  'DiscretizedLogistic',
  'ElboTerms',
  'FlowDecoderLayer',
  'FlowVariationalAutoencoder',
  'ImageFlow',
  'InverseAutoregressiveNormal',
  'JointMap',
  'LayerwiseSwitchPrior',
  'LogNormalizer',
  'LogProbTerms',
  'MarkovMixture',
  'NeuralRenderingModel',
  'PixelCnn',
  'RawPixelDistribution',
  'RenderingInference',
  'RenderingTerms',
  'SequenceModel',
  'StructuredSwitchPrior',
  'VampPrior',
  'VariationalAutoencoder',
  'autoencoder',
  'autoregressive_flow_prior',
  'constant_volume_glow',
  'flow_variational_autoencoder',
  'glow',
  'learned_normal',
  'normal_mixture_prior',
  'pixel_cnn',
  'pixel_likelihood',
  'posterior_layer',
  'sequence_model',
  'variational_autoencoder',
]
