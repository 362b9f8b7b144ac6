"""The embedded engine: a small transformer in numpy that really trains and samples.

A base model is frozen; `Trainer` trains a LoRA adapter on it, `Sampler` samples from it with any
adapters. Nothing here knows of HTTP, sessions or files other than model and adapter folders.
"""

from tinkex.local.engine.adapter import Adapter
from tinkex.local.engine.base import Base, save_base
from tinkex.local.engine.config import ModelConfig, RopeScaling, nano_config
from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.examples import Example
from tinkex.local.engine.lora import LoraSpec
from tinkex.local.engine.losses import LOSSES
from tinkex.local.engine.network import load_seeing
from tinkex.local.engine.optimizer import AdamSpec, DimuonSpec
from tinkex.local.engine.sampler import SampledTokens, SampleJob, Sampler, SampleResult
from tinkex.local.engine.trainer import OPTIMIZERS, LossOutput, Trainer, saved_optimizer

__all__ = [
    "LOSSES",
    "OPTIMIZERS",
    "AdamSpec",
    "Adapter",
    "Base",
    "DimuonSpec",
    "EngineError",
    "Example",
    "LoraSpec",
    "LossOutput",
    "ModelConfig",
    "RopeScaling",
    "SampleJob",
    "SampleResult",
    "SampledTokens",
    "Sampler",
    "Trainer",
    "load_seeing",
    "nano_config",
    "save_base",
    "saved_optimizer",
]
