#!/bin/bash
# The automatic run processor (ARP) of the eLog starts this script for a run. It submits the search for bad pixels
# and returns at once; the jobs go on, deploy what they find, and post it to the logbook.
#
#   rawstatus-arp.sh --det DETECTOR [OPTION OF rawstatus submit ...]
#
# Register it once in the eLog (Workflow, Definitions): executable = the path of this script, location = S3DF,
# trigger = "All files transferred", parameters = the options, for example: --det jungfrau --profile dark --deploy
# The processor sets EXPERIMENT and RUN_NUM, and ARP_UPDATE_COUNTERS for the progress table.
set -euo pipefail
: "${EXPERIMENT:?set by the automatic run processor}" "${RUN_NUM:?set by the automatic run processor}"
bin=${RAWSTATUS_BIN:-rawstatus}

exec "$bin" submit --exp "$EXPERIMENT" --run "$RUN_NUM" --post "$@"
