# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of batches that the cores divide, in a process that starts so."""

import numpy as np
import processes
import pytest

_SCRIPT = (
  processes.TRAINING
  + """
tfp_ood.training.divide_batches(2)
images = np.random.default_rng(0).integers(0, 256, [32, 8, 8, 3], np.uint8)
flow = tfp_ood.distributions.glow(
  [8, 8, 3], num_levels=2, num_steps=2, hidden_channels=4, seed=1
)
model = tfp_ood.training.DistributionModel(flow)
model.compile(tfp_ood.training.adam(1e-2))
history = model.fit(batches(images), epochs=3, verbose=0).history
statistics = tfp_ood.stats.Statistics(flow)
write(
  {
    'threads': [
      tf.config.threading.get_intra_op_parallelism_threads(),
      tf.config.threading.get_inter_op_parallelism_threads(),
    ],
    'losses': history['bits_per_dim'],
    'divided': statistics(images, ['log_prob'])['log_prob'].numpy().tolist(),
    'whole': flow.log_prob(images).numpy().tolist(),
  }
)
"""
)


@pytest.mark.slow
def test_a_flow_trains_and_scores_by_parts_of_batches(tmp_path):
  report = processes.report(tmp_path, 'divided', _SCRIPT)
  assert report['threads'] == [1, 2]
  assert report['losses'][2] < report['losses'][1] < report['losses'][0]
  assert len(report['whole']) == 32
  np.testing.assert_allclose(report['divided'], report['whole'], rtol=1e-5)
