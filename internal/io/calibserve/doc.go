// Package calibserve is a small server of the protocol of the LCLS-II calibration web service (package
// calibws describes it) over files, for trying constants privately.
package calibserve
