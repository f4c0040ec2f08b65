# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what `read_keras_graph` reads, and of what it refuses by name."""

import numpy as np
import pytest
import tensorflow as tf
from conformance import classifier_registry as registry

from tfp_ood import networks
from tfp_ood.networks import _keras_graph
from tfp_ood.networks.switch_layer import MaxPool, Rectifier, SwitchLayer

both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))


def _sequential(library, make, input_shape=(6, 6, 2)):
  library = registry.LIBRARIES[library]
  parts = make(library.layers)
  return library.Sequential([library.layers.Input(input_shape), *parts])


def _ends_in_dense(library, make, input_shape=(6, 6, 2)):
  return _sequential(
    library,
    lambda k: [
      *make(k),
      k.Flatten(),
      k.Dense(3, activation='relu'),
      k.Dense(3),
    ],
    input_shape,
  )


@both_libraries
def test_steps_are_in_an_order_in_which_they_can_be_computed(library):
  for name in registry.CLASSIFIERS:
    model = registry.shared_classifier(name, library)
    steps, input_name, output_name = _keras_graph.read_keras_graph(model)
    known = {input_name}
    for step in steps:
      assert set(step.inputs) <= known
      assert step.output not in known
      known.add(step.output)
    assert output_name in known
    assert output_name == steps[-1].output


@both_libraries
def test_a_layer_with_an_activation_is_two_steps(library):
  model = _sequential(
    library,
    lambda k: [
      k.Conv2D(3, 3, activation='relu', name='convolution'),
      k.MaxPooling2D((3, 2), strides=(1, 2), padding='same', name='pool'),
      k.Flatten(name='flat'),
      k.Dense(3, activation='linear', name='logits'),
    ],
  )
  steps, *_ = _keras_graph.read_keras_graph(model)
  convolution, rectifier, pool, flat, logits = (s.operation for s in steps)
  assert rectifier == Rectifier(0.0, 'convolution')
  assert pool == MaxPool((3, 2), (1, 2), 'same', 'pool')
  assert [a.name for a in (convolution, flat, logits)] == [
    'convolution',
    'flat',
    'logits',
  ]


@both_libraries
@pytest.mark.parametrize('how', ['activation', 'Activation', 'Softmax'])
def test_a_softmax_at_the_end_is_left_out(library, how):
  library = registry.LIBRARIES[library]
  k = library.layers
  end = {
    'activation': [k.Dense(3, activation='softmax')],
    'Activation': [k.Dense(3), k.Activation('softmax')],
    'Softmax': [k.Dense(3), k.Softmax()],
  }[how]
  parts = [k.Input([6, 6, 2]), k.Conv2D(2, 3, activation='relu'), k.Flatten()]
  model = registry.perturb_weights(library.Sequential([*parts, *end]))
  network = networks.PiecewiseLinearNetwork(model)
  x = tf.cast(registry.inputs(network, 4), tf.float32)
  logits = network.propagate(x).logits
  np.testing.assert_allclose(tf.nn.softmax(logits), model(x), rtol=1e-5)
  assert np.abs(np.sum(logits, axis=1) - 1).max() > 0.1
  # The whole of it in another model.
  images = k.Input([6, 6, 2])
  outer = library.Model(images, model(images))
  again = networks.PiecewiseLinearNetwork(outer)
  np.testing.assert_allclose(again.propagate(x).logits, logits, rtol=1e-6)


@both_libraries
def test_a_softmax_inside_is_refused(library):
  with pytest.raises(ValueError, match='layer inside applies a softmax inside'):
    networks.PiecewiseLinearNetwork(
      _sequential(
        library,
        lambda k: [
          k.Flatten(),
          k.Dense(4, activation='relu'),
          k.Dense(4, activation='softmax', name='inside'),
          k.Dense(3),
        ],
      )
    )
  with pytest.raises(ValueError, match='layer scaled applies a softmax inside'):
    networks.PiecewiseLinearNetwork(
      _ends_in_dense(library, lambda k: [k.Softmax(name='scaled')])
    )
  # At the end of a model that is a layer of another.
  inner = _sequential(
    library,
    lambda k: [
      k.Dense(4, activation='relu'),
      k.Dense(3, activation='softmax', name='end_of_inner'),
    ],
    [4],
  )
  with pytest.raises(ValueError, match='layer end_of_inner applies a softmax'):
    networks.PiecewiseLinearNetwork(
      _sequential(library, lambda k: [inner, k.Dense(3)], [4])
    )


@both_libraries
@pytest.mark.parametrize(
  'make, message',
  [
    (
      lambda k: [k.Conv2D(2, 3, activation='gelu', name='smooth')],
      'activation gelu of the layer smooth is not piecewise linear',
    ),
    (
      lambda k: [k.Activation('tanh', name='bent')],
      'activation tanh of the layer bent',
    ),
    (
      lambda k: [k.Conv2D(2, 3, activation=k.ELU(), name='bent_within')],
      r'layer bent_within \(ELU\) is not known',
    ),
    (lambda k: [k.ELU(name='curved')], r'layer curved \(ELU\) is not known'),
    (lambda k: [k.PReLU(name='learned')], r'layer learned \(PReLU\)'),
    (
      lambda k: [k.LayerNormalization(name='norm')],
      r'layer norm \(LayerNormalization\)',
    ),
    (
      lambda k: [
        k.MaxPooling2D(data_format='channels_first', name='other_way')
      ],
      'layer other_way has `data_format` channels_first',
    ),
    (
      lambda k: [k.Conv2DTranspose(2, 3, dilation_rate=2, name='holes')],
      'layer holes is a transposed convolution that is dilated',
    ),
  ],
)
def test_layers_that_are_not_piecewise_linear_are_refused(
  library, make, message
):
  model = _ends_in_dense(library, make)
  with pytest.raises(ValueError, match=message):
    networks.PiecewiseLinearNetwork(model)


def test_a_negative_slope_is_refused():
  # Keras 3 refuses it itself.
  model = _ends_in_dense('tf_keras', lambda k: [k.LeakyReLU(-0.5, name='v')])
  with pytest.raises(ValueError, match='layer v has a negative slope, -0.5'):
    networks.PiecewiseLinearNetwork(model)


@both_libraries
def test_a_rectifier_with_a_slope_and_a_threshold_is_refused(library):
  model = _ends_in_dense(
    library,
    lambda k: [k.ReLU(negative_slope=0.1, threshold=1.0, name='late')],
  )
  with pytest.raises(
    ValueError, match='layer late has both a slope and a `thr'
  ):
    networks.PiecewiseLinearNetwork(model)


_OPERATIONS = {
  'product': (lambda x: x * x, r'layer (tf\.math\.)?multiply.* \((ops|tf)\.'),
  'quotient': (lambda x: 1.0 / x, r'\((ops.TrueDivide|tf.math.truediv)\)'),
  'slice': (lambda x: x[:, :2], r'\(ops.GetItem|tf.__operators__.getitem\)'),
}


@both_libraries
@pytest.mark.parametrize('operation', list(_OPERATIONS))
def test_operations_are_refused_by_their_names(library, operation):
  function, message = _OPERATIONS[operation]
  library = registry.LIBRARIES[library]
  k = library.layers
  features = k.Input([4])
  outputs = function(k.Dense(4, activation='relu')(features))
  model = library.Model(features, k.Dense(3)(outputs))
  with pytest.raises(ValueError, match=message):
    networks.PiecewiseLinearNetwork(model)


@both_libraries
def test_a_class_of_the_name_of_a_layer_is_not_that_layer(library):
  base = registry.LIBRARIES[library].layers.Layer

  class Rescaling(base):
    """Squares."""

    def call(self, inputs):
      return inputs**2

  model = _ends_in_dense(library, lambda k: [Rescaling(name='mine')])
  with pytest.raises(ValueError, match=r'layer mine \(.*\.Rescaling\) is not'):
    networks.PiecewiseLinearNetwork(model)


@both_libraries
def test_a_clipped_rectifier_is_two(library):
  model = _sequential(
    library, lambda k: [k.Dense(4, activation='relu6'), k.Dense(3)], [4]
  )
  steps, *_ = _keras_graph.read_keras_graph(model)
  _, first, turn, second, again, _ = (step.operation for step in steps)
  assert first.slope == second.slope == first.threshold == 0
  assert turn is again
  y = tf.constant([[-1.0, 0.0, 5.0, 7.0]])
  clipped = turn([tf.nn.relu(turn([tf.nn.relu(y)]))])
  np.testing.assert_array_equal(clipped, tf.nn.relu6(y))


@both_libraries
def test_models_without_a_graph_are_refused(library):
  library = registry.LIBRARIES[library]
  k = library.layers

  class Subclassed(library.Model):
    """Keeps what it does to itself."""

    def __init__(self):
      super().__init__(name='subclassed')
      self.dense = k.Dense(3, activation='relu')

    def call(self, inputs):
      return self.dense(inputs)

  model = Subclassed()
  model(tf.zeros([1, 4]))
  with pytest.raises(ValueError, match='model subclassed has no graph to read'):
    networks.PiecewiseLinearNetwork(model)
  with pytest.raises(ValueError, match='Build it first'):
    networks.PiecewiseLinearNetwork(
      library.Sequential([k.Dense(4, activation='relu'), k.Dense(3)])
    )


@both_libraries
def test_several_inputs_and_outputs_are_refused(library):
  library = registry.LIBRARIES[library]
  k = library.layers
  left, right = k.Input([4]), k.Input([4])
  out = k.Dense(3)(k.Add()([left, right]))
  with pytest.raises(ValueError, match='one input and one output.* 2 and 1'):
    networks.PiecewiseLinearNetwork(library.Model([left, right], out))
  with pytest.raises(ValueError, match='one input and one output.* 1 and 2'):
    networks.PiecewiseLinearNetwork(
      library.Model(left, [k.Dense(3)(left), k.Dense(3)(left)])
    )


@both_libraries
def test_the_slope_of_a_rectifier_is_that_of_the_library(library):
  model = _sequential(
    library,
    lambda k: [
      k.Dense(3, activation='leaky_relu'),
      k.LeakyReLU(),
      k.LeakyReLU(0.25),
      k.ReLU(negative_slope=0.5),
      k.ReLU(),
      k.Dense(3),
    ],
    [4],
  )
  network = networks.PiecewiseLinearNetwork(model)
  slopes = [layer.slope for layer in network.layers]
  np.testing.assert_allclose(slopes, [0.2, 0.3, 0.25, 0.5, 0.0], rtol=1e-6)
  x = tf.cast(registry.inputs(network, 4), tf.float32)
  np.testing.assert_allclose(
    network.propagate(x).logits, model(x), rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize(
  'library', ['tf_keras', pytest.param('keras', marks=pytest.mark.slow)]
)
def test_absolute_maps_have_absolute_coefficients(library):
  """Compared to the columns of each affine step."""
  seen = set()
  for name in registry.CLASSIFIERS:
    model = registry.shared_classifier(name, library)
    steps, input_name, _ = _keras_graph.read_keras_graph(model)
    values = {input_name: abs(registry.inputs(model, 1))}
    for operation, inputs, output in steps:
      arguments = [values[key] for key in inputs]
      if isinstance(operation, Rectifier | MaxPool):
        layer = SwitchLayer([operation])
        layer.set_shape(arguments[0].shape[1:])
        values[output] = layer.apply(arguments[0])
      else:
        values[output] = operation.absolute(arguments)
        np.testing.assert_allclose(
          values[output], _by_columns(operation, arguments), atol=1e-12
        )
        seen.add(operation.name)
  assert len(seen) > 40


def _by_columns(operation, arguments):
  """Each element of the arguments times its column, in absolute values."""
  zeros = [tf.zeros_like(x) for x in arguments]
  offset = operation(zeros)
  total = 0.0
  for index, x in enumerate(arguments):
    units = tf.reshape(tf.eye(tf.size(x), dtype=x.dtype), [-1, *x.shape[1:]])
    given = [tf.repeat(zero, len(units), axis=0) for zero in zeros]
    given[index] = units
    columns = abs(operation(given) - offset)
    total += tf.tensordot(tf.reshape(x, [-1]), columns, axes=1)
  return total[tf.newaxis]


@both_libraries
def test_interpolations_of_unknown_coefficients_say_so(library):
  for interpolation, is_known in (
    ('nearest', True),
    ('bilinear', True),
    ('bicubic', False),
  ):
    model = _ends_in_dense(
      library,
      lambda k: [k.UpSampling2D(interpolation=interpolation)],  # noqa: B023
    )
    (step, *_), _, _ = _keras_graph.read_keras_graph(model)
    assert (step.operation.absolute is not None) == is_known
