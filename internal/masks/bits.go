package masks

import (
	"slices"
	"strings"

	"rawstatus/internal/io/export"
	"rawstatus/internal/stats/status"
)

// kinds says what bits stand for in other programs, by name.
var kinds = map[string]export.Kind{
	"RMS_HIGH": export.Noisy, "RMS_LOW": export.Quiet, "INT_HIGH": export.Saturated, "INT_LOW": export.Cold,
	"AVE_HIGH": export.Hot, "AVE_LOW": export.Cold, "GAIN_STATE": export.WrongGain,
	"MEAN_LOW": export.Cold, "MEAN_HIGH": export.Hot, "STD_LOW": export.Quiet, "STD_HIGH": export.Noisy,
	"RESID_LOW": export.Weak, "RESID_HIGH": export.Hot, "SPREAD_LOW": export.Noisy, "SPREAD_HIGH": export.Noisy,
	"MAX_LOW": export.Weak, "MAX_HIGH": export.Hot,
	"NO_DATA": export.NoData, "LOW_STATS": export.LowStats, "EVAL_ERROR": export.EvalError, "USER": export.User,
}

// groups says it of bits that have no entry in kinds.
var groups = map[string]export.Kind{"spatial": export.Spatial, "noise": export.Noisy, "gain": export.WrongGain, "flatness": export.Weak,
	// Injected charge.
	"periods": export.WrongGain, "OFFSET": export.WrongGain, "GAIN": export.WrongGain, "switch": export.WrongGain, "CHI2": export.WrongGain, "crosstalk": export.WrongGain}

// Bits lists the bits of a family with their meaning. Families joined by "+" share values: a bit then has all their names,
// joined by "/", and stands for all their kinds.
func Bits(family string) (bits []export.Bit) {
	families := strings.Split(family, "+")
	for _, b := range status.Table {
		if b.Family != "" && !slices.Contains(families, string(b.Family)) {
			continue
		}
		kind, ok := kinds[b.Name]
		if !ok {
			if kind, ok = groups[b.Group]; !ok {
				kind = export.Other
			}
		}
		if i := slices.IndexFunc(bits, func(x export.Bit) bool { return x.Value == b.Value }); i >= 0 {
			bits[i].Name += "/" + b.Name
			bits[i].Kind |= kind
			continue
		}
		bits = append(bits, export.Bit{Value: b.Value, Name: b.Name, Kind: kind})
	}
	return bits
}
