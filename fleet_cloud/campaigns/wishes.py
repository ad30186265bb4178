"""What somebody sends to make a campaign -> a wish.

    {"campaign": {FleetWise's document}, "target": {"fleet": "north"},
     "stages": [{"percent": 5, "after_s": 0}, ...], "maxRefusedPercent": 10}

A bare FleetWise document is taken too: whom it is for is its `targetArn`.

Rule 1: errors name the field by its path, as those of documents do.
"""

import json
import re

from fairway.campaign.document import campaign_of
from fairway.campaign.fields import Fields, fields_of
from fairway.campaign.model import Campaign
from fairway.errors import BadInput
from fleet_cloud.campaigns.service import Wish
from fleet_cloud.campaigns.stages import (
    REFUSED_MAX_PERCENT,
    STAGE_MAX_S,
    STAGES_MAX,
    Stage,
    checked,
)
from fleet_cloud.control.query import QUERY_MAX_CHARACTERS
from fleet_cloud.control.targets import (
    Target,
    TargetKind,
    target_of,
)

_ARN = re.compile(r"(?:arn:[^:]*:[^:]*:[^:]*:[^:]*:)?(vehicle|fleet)/(.+)")


def wish_of(document: object, *, name: str | None = None) -> Wish:
    """Return the wish that `document` says; `name` is for a campaign that has none.  Raises BadInput."""
    fields = fields_of(document, "")
    if "campaign" not in fields:
        bare = campaign_of(document, name=name)
        return Wish(bare, _named(bare))
    campaign = campaign_of(fields.taken("campaign"), name=name)
    target = _target(fields.table("target"))
    percent = fields.number("maxRefusedPercent", 0, 100)
    stages = fields.each("stages", _stage, most=STAGES_MAX)
    fields.nothing_else()
    return Wish(
        campaign,
        target or _named(campaign),
        checked(stages or ()),
        REFUSED_MAX_PERCENT if percent is None else percent,
    )


def _target(fields: Fields | None) -> Target | None:
    if fields is None:
        return None
    named = [kind for kind in TargetKind if kind in fields]
    if len(named) != 1:
        raise BadInput(f"target: give one of {', '.join(TargetKind)}")
    target = target_of(named[0], fields.needed_text(named[0], most=QUERY_MAX_CHARACTERS))
    fields.nothing_else()
    return target


def _stage(fields: Fields) -> Stage:
    percent = fields.number("percent", 0, 100)
    if percent is None:
        raise BadInput(f"{fields.path}.percent: is missing")
    return Stage(percent, fields.whole("after_s", 0, STAGE_MAX_S) or 0)


def _named(campaign: Campaign) -> Target:
    said = dict(campaign.cloud_only).get("targetArn")
    found = _ARN.fullmatch(str(json.loads(said))) if said else None
    if found is None:
        raise BadInput(
            'target: whom is it for?  Give {"vehicle": ...}, {"fleet": ...} or {"query": ...}, or a targetArn'
            " that ends in vehicle/NAME or fleet/NAME"
        )
    return target_of(TargetKind(found[1]), found[2])
