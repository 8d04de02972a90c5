from .alexnet_probe import AlexNetProbe
from .layer_probes import LayerProbes
from .linear_probe import LinearProbe
from .mlp_probe import MLPProbe
from .nin_block_probe import NINBlockProbe

__all__ = ['AlexNetProbe', 'LayerProbes', 'LinearProbe', 'MLPProbe', 'NINBlockProbe']
