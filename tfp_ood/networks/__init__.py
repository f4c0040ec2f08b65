# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The networks inside the models."""

from tfp_ood.networks.batch_statistics import with_batch_statistics
from tfp_ood.networks.classifier_ensemble import ClassifierEnsemble
from tfp_ood.networks.classifiers import (
  alexnet_like,
  all_cnn_c,
  all_conv13,
  small_resnet,
)
from tfp_ood.networks.convolutional_autoencoder import (
  convolutional_decoder,
  convolutional_encoder,
)
from tfp_ood.networks.coupling_network import CouplingNetwork
from tfp_ood.networks.function_network import FunctionNetwork
from tfp_ood.networks.image_classifier import ImageClassifier
from tfp_ood.networks.masked_network import masked_network
from tfp_ood.networks.piecewise_linear import (
  PiecewiseLinearNetwork,
  Propagated,
  Rendered,
)
from tfp_ood.networks.pixel_cnn_network import PixelCnnNetwork
from tfp_ood.networks.read_classifier import read_classifier
from tfp_ood.networks.recurrent_network import RecurrentNetwork
from tfp_ood.networks.sequence_classifier import SequenceClassifier
from tfp_ood.networks.shifted_convolution import ShiftedConvolution
from tfp_ood.networks.shifted_transposed_convolution import (
  ShiftedTransposedConvolution,
)
from tfp_ood.networks.switch_layer import SwitchLayer
from tfp_ood.networks.template_gain import TemplateGain
from tfp_ood.networks.tracking import trackable_parts
from tfp_ood.networks.zero_convolution import ZeroConvolution

__all__ = [
  'ClassifierEnsemble',
  'CouplingNetwork',
  'FunctionNetwork',
  'ImageClassifier',
  'PiecewiseLinearNetwork',
  'PixelCnnNetwork',
  'Propagated',
  'RecurrentNetwork',
  'Rendered',
  'SequenceClassifier',
  'ShiftedConvolution',
  'ShiftedTransposedConvolution',
  'SwitchLayer',
  'TemplateGain',
  'ZeroConvolution',
  'alexnet_like',
  'all_cnn_c',
  'all_conv13',
  'convolutional_decoder',
  'convolutional_encoder',
  'masked_network',
  'read_classifier',
  'small_resnet',
  'trackable_parts',
  'with_batch_statistics',
]
