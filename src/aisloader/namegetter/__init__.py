"""Which name comes next: the getters, and which of them a run uses."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aisloader.namegetter.base import Indices, NameGetter, Order
from aisloader.namegetter.coverage import Coverage, coverage
from aisloader.namegetter.feistel import FeistelOrder
from aisloader.namegetter.perm_affine import AFFINE_COUNT_MIN, AffineOrder
from aisloader.namegetter.perm_shuffle import ShuffleOrder
from aisloader.namegetter.random import RandomGetter
from aisloader.namegetter.share import OrderedGetter
from aisloader.namegetter.unique import UniqueIterOrder, UniqueOrder

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = [
    "AFFINE_COUNT_MIN",
    "AffineOrder",
    "Coverage",
    "FeistelOrder",
    "Indices",
    "NameGetter",
    "Order",
    "OrderedGetter",
    "RandomGetter",
    "ShuffleOrder",
    "UniqueIterOrder",
    "UniqueOrder",
    "choose",
    "coverage",
    "open_names",
    "open_order",
]

_ORDER_KEY = 0x6F72646572
_RANDOM_KEY = 0x72616E646F6D
_ORDERS: Mapping[str, Callable[..., Order]] = {
    "shuffle": ShuffleOrder,
    "affine": AffineOrder,
    "feistel": FeistelOrder,
    "unique": UniqueOrder,
    "unique-iter": UniqueIterOrder,
}


def choose(params: "Params", count: int) -> str:
    """The getter of a run over `count` names, as `-name-getter` spells it.

    Without that flag: runs that PUT draw at random, uniquely when they have epochs; runs that only read permute, by a
    shuffle up to `-perm-shuffle-max` names and by arithmetic above.
    """
    workload = params.workload
    asked = workload.name_getter
    if not count:
        return "random"
    if asked == "auto":
        if workload.pctput:
            return "unique" if workload.epochs else "random"
        asked = "affine" if count > workload.perm_shuffle_max else "shuffle"
    return "shuffle" if asked == "affine" and count < AFFINE_COUNT_MIN else asked


def open_order(params: "Params", count: int) -> Order | None:
    """The order of a run over `count` names; None when names repeat."""
    kind = choose(params, count)
    if kind == "random":
        return None
    loader = 0 if params.workload.shared_epochs else params.loader.stream_key
    return _ORDERS[kind](count, params.workload.seed, loader, _ORDER_KEY)


def open_names(params: "Params", count: int, worker: int = 0, workers: int = 1) -> NameGetter:
    """The getter of one worker.

    Args:
        params: of the run.
        count: names there are to read.
        worker: 0..workers-1.
        workers: how many of this loader share the names.
    """
    if params.workload.shared_epochs:
        worker += params.loader.number * workers
        workers *= params.loader.loadernum
    unit = params.read.get_batchsize or 1
    order = open_order(params, count)
    if order is None:
        key = (params.workload.seed, params.loader.stream_key, _RANDOM_KEY, worker)
        return RandomGetter(count, *key, unit=unit)
    return OrderedGetter(
        order,
        epochs=params.workload.epochs,
        worker=worker,
        workers=workers,
        unit=unit,
        seam=params.workload.epoch_batch,
    )
