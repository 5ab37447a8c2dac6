"""Networks that take all variables of a weight file or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class StrictModule(nn.Module):
    """A module that refuses weights of which only a part fits.

    MONAI's ``load`` copies what has the right name and shape over the network's own variables,
    leaves the others as they are, and gives the mixture to ``load_state_dict``: a network that is
    random in part, and no word of it. Here that is an error.
    """

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As :meth:`torch.nn.Module.load_state_dict`.

        Raises:
            RuntimeError: some of the values are the module's own variables, so what they should
                have been replaced with did not fit; or as PyTorch says.
        """
        own = self.state_dict()
        kept = [key for key, value in own.items() if _is_same(value, state_dict.get(key))]
        if kept:
            raise RuntimeError(
                f"{len(own) - len(kept)} of {len(own)} variables fit to this"
                f" {type(self).__name__}, expected all (among others {kept[0]} does not); give the"
                " network the settings of the card beside the weights"
            )
        return super().load_state_dict(state_dict, strict, assign)


def _is_same(own: Tensor, given: object) -> bool:
    """Whether both are the same memory."""
    return isinstance(given, Tensor) and own.numel() > 0 and own.data_ptr() == given.data_ptr()
