package status_test

import (
	"fmt"

	"rawstatus/internal/stats/status"
)

// A status word is a set of reasons; 0 is a good pixel.
func ExampleNames() {
	for _, word := range []uint64{0, 1, 17, 1024} {
		fmt.Println(word, status.Names(status.Dark, word))
	}
	fmt.Println(16, status.Names(status.Features, 16))
	// Output:
	// 0 good
	// 1 RMS_HIGH
	// 17 RMS_HIGH|AVE_HIGH
	// 1024 NO_DATA
	// 16 RESID_LOW
}

// A panel of six pixels in ten frames is judged from its exact counts: frames inside of the gate, their sum and sum of
// squares, and frames below and above the absolute limits.
func ExampleEvalDark() {
	panel := status.AbsentPanel(2, 3)
	panel.Frames = 10
	for i := range panel.Sum0 {
		// Ten values, half of them 1000-d and half of them 1000+d: the average is 1000, the rms d.
		d := uint64(5)
		if i == 4 {
			d = 80 // noisy
		}
		panel.Sum0[i], panel.Sum1[i], panel.Sum2[i] = 10, 10*1000, 10*(1000*1000+d*d)
	}
	panel.Sum0[5], panel.Sum1[5], panel.Sum2[5] = 4, 4*1000, 4*(1000*1000+25)
	panel.NHi[5] = 6 // saturated in six of ten frames
	res, err := status.EvalDark([]status.PanelPlanes{panel}, status.DarkParams{
		Profile: status.ProfileData, Scope: status.PerDetector, Method: status.MeanStd,
		IntLo: 1, IntHi: 16000, RmsLo: 0.1, RmsHi: 50, FracLm: 0.1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, word := range res.Panels[0].Bad.Dense() {
		fmt.Printf("pixel %d: average %.0f, rms %.0f: %s\n", i, res.Panels[0].Ave[i], res.Panels[0].Rms[i], status.Names(status.Dark, word))
	}
	// Output:
	// pixel 0: average 1000, rms 5: good
	// pixel 1: average 1000, rms 5: good
	// pixel 2: average 1000, rms 5: good
	// pixel 3: average 1000, rms 5: good
	// pixel 4: average 1000, rms 80: RMS_HIGH
	// pixel 5: average 1000, rms 5: INT_HIGH
}

// Compare counts what a new status changes, in total and bit by bit.
func ExampleCompare() {
	d, err := status.Compare([]uint64{0, 1, 1, 0}, []uint64{0, 1, 0, 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	t := d.Table(status.Dark)
	fmt.Println(t.NewlyBad, "newly bad,", t.NewlyGood, "newly good")
	for _, b := range t.Bits {
		fmt.Println(b.Name, "gained", b.Gained, "lost", b.Lost, "kept", b.Kept)
	}
	// Output:
	// 1 newly bad, 1 newly good
	// RMS_HIGH gained 0 lost 1 kept 1
	// INT_HIGH gained 1 lost 0 kept 0
	// AVE_HIGH gained 1 lost 0 kept 0
}
