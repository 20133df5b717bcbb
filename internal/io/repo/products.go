package repo

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
)

// Product is a type of the constants of a dark run, by the name of psana2.
type Product string

// The products, in the order in which the originals write and deploy them.
const (
	Pedestals   Product = "pedestals"
	PixelRMS    Product = "pixel_rms"
	PixelStatus Product = "pixel_status"
	PixelMax    Product = "pixel_max"
	PixelMin    Product = "pixel_min"
)

// Products lists all products in order.
var Products = []Product{Pedestals, PixelRMS, PixelStatus, PixelMax, PixelMin}

// DarkSet lists the products of a dark run that are deployed together.
var DarkSet = Products[:3]

// productWords are the names of a product: of psana2, its letter in --ctdepl, and those of the programs of LCLS-I.
var productWords = map[Product][]string{
	Pedestals:   {"pedestals", "p", "peds", "ave", "average"},
	PixelRMS:    {"pixel_rms", "r", "rms"},
	PixelStatus: {"pixel_status", "s", "status", "sta"},
	PixelMax:    {"pixel_max", "x", "max", "dark_max"},
	PixelMin:    {"pixel_min", "n", "min", "dark_min"},
}

// ParseProducts reads names of products, separated by commas; letters as of --ctdepl may stand together. The result
// is in the order of [Products].
func ParseProducts(list string) ([]Product, error) {
	var found []Product
	for word := range strings.SplitSeq(list, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		some := byWord(word)
		if some == nil && word != "" && strings.Trim(word, "prsxn") == "" {
			for _, letter := range word {
				some = append(some, byWord(string(letter))...)
			}
		}
		if some == nil {
			return nil, fault.New(fault.Usage, "%q is no product of a dark run", word).
				WithHint("products: pedestals, pixel_rms, pixel_status, pixel_max, pixel_min")
		}
		found = append(found, some...)
	}
	return slices.DeleteFunc(slices.Clone(Products), func(p Product) bool { return !slices.Contains(found, p) }), nil
}

func byWord(word string) []Product {
	for p, words := range productWords {
		if slices.Contains(words, word) {
			return []Product{p}
		}
	}
	return nil
}

// Real reports whether the values are averages or deviations, with decimals; else they are whole numbers.
func (p Product) Real() bool { return p == Pedestals || p == PixelRMS }

// DType returns the type in which analysis reads the product.
func (p Product) DType() string {
	if p.Real() {
		return "float32"
	}
	return "uint64"
}

// Style is how the original that processes the darks of a detector names and prints products.
type Style int

// The styles.
const (
	// Psana1Panels are those of jungfrau_dark_proc and epix10ka_pedestals_calibration of LCLS-I.
	Psana1Panels Style = iota
	// Psana1Array is that of det_ndarr_raw_proc: one file of the detector, in the work directory.
	Psana1Array
	// Psana2Panels are those of jungfrau_dark_proc and epix10ka_pedestals_calibration of LCLS-II.
	Psana2Panels
	// Psana2Array is that of det_dark_proc: one file of the detector.
	Psana2Array
)

// StyleOf returns the style for a detector type; gains reports that it has gain modes.
func StyleOf(lcls1, gains bool) Style {
	switch {
	case lcls1 && gains:
		return Psana1Panels
	case lcls1:
		return Psana1Array
	case gains:
		return Psana2Panels
	}
	return Psana2Array
}

// Panels reports whether there is a file for each panel and gain mode; else one holds the detector.
func (s Style) Panels() bool { return s == Psana1Panels || s == Psana2Panels }

// Name returns how files of the style call a product.
func (s Style) Name(p Product) string {
	names := [2]string{string(p), string(p)}
	switch p {
	case Pedestals:
		names = [2]string{"pedestals", "ave"}
	case PixelRMS:
		names = [2]string{"rms", "rms"}
	case PixelStatus:
		names = [2]string{"status", "sta"}
	case PixelMax:
		names = [2]string{"dark_max", "max"}
	case PixelMin:
		names = [2]string{"dark_min", "min"}
	}
	switch s {
	case Psana1Panels:
		return names[0]
	case Psana1Array:
		return names[1]
	}
	return string(p)
}

// Width returns the least width in which whole numbers are printed.
func (s Style) Width(p Product, dettype string) int {
	jungfrau := strings.HasPrefix(strings.ToLower(dettype), "jungfrau")
	switch {
	case s == Psana1Panels && p != PixelStatus:
		return 6
	case s == Psana1Panels, p == PixelStatus && (s == Psana2Array || s == Psana2Panels && !jungfrau):
		return 4
	}
	return 0
}

// DarkFile names the products of a unit or, in styles without panels, of a detector.
type DarkFile struct {
	StatusFile
	Style   Style
	Short   string   // psana2: short name of the detector
	Setting string   // psana1 jungfrau: the gain as configured, such as HighGain0
	IDs     []string // psana2 without panels: of all panels
	Work    string   // psana1 without panels: work directory
}

// ProductPath returns where a product lies and makes the directory. With merged the file is that of all gain modes of
// the panel.
func (r *Repo) ProductPath(ctx context.Context, f DarkFile, p Product, merged bool) (string, error) {
	name := f.Style.Name(p)
	if f.Style == Psana1Array {
		dir := filepath.Join(f.Work, "results")
		if err := access.CheckName("detector", f.DetName); err != nil {
			return "", err
		}
		return filepath.Join(dir, fmt.Sprintf("clb-%s-r%04d-peds-%s-%s.txt", f.Run.Experiment, f.Run.Number, name, f.DetName)), r.Policy.MkdirAll(dir)
	}
	f.CType = name
	if f.Style == Psana2Array {
		if f.Panel = strings.Join(f.IDs, "_"); len(f.Panel) > longestDir || len(f.IDs) == 0 {
			f.Panel = f.Short
		}
	}
	gain := f.GainMode
	f.GainMode = ""
	dir, err := r.ctypeDir(f.StatusFile)
	if err != nil {
		return "", err
	}
	if f.Style == Psana1Panels {
		n, err := r.name(ctx, f.StatusFile, ".dat")
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(n.DetType, "epix10ka") {
			n.DetType = "epix10ka" // also those of several panels
		}
		switch {
		case merged:
			n.Ext = ".txt"
		case strings.HasPrefix(n.DetType, "jungfrau"):
			n.GainMode = "gm" + strings.TrimPrefix(gain, "g") + "-" + f.Setting
		default:
			n.GainMode = gain
		}
		return filepath.Join(dir, n.String()), nil
	}
	segment := f.Segment
	if f.Style == Psana2Array {
		segment = 0
	}
	if err := access.CheckName("short name", f.Short); err != nil {
		return "", err
	}
	stem := fmt.Sprintf("%s-s%02d-%s-%s-r%04d-%s", f.Short, segment, r.Stamp(f.Run.Begin), f.Run.Experiment, f.Run.Number, name)
	switch {
	case merged:
		stem += ".txt"
	case gain != "":
		stem += "-" + strings.ReplaceAll(gain, "-", "_") + ".data"
	default:
		stem += ".data"
	}
	return filepath.Join(dir, stem), nil
}

// longestDir bounds the name of a directory that is made of the ids of all panels, in bytes.
const longestDir = 240

// ProductStack returns where a product of a whole detector, in all gain modes, lies, and makes the directory.
func (r *Repo) ProductStack(f DarkFile, p Product) (string, error) {
	name, octype := f.Short, string(p)
	if f.Style == Psana1Panels {
		name = f.DetName
		if p == PixelMin || p == PixelMax {
			octype = f.Style.Name(p)
		}
	}
	path := r.StackPath(f.DetType, name, f.Run.Experiment, f.Run.Number, f.Run.Begin, octype)
	for what, word := range map[string]string{"detector": name, "detector type": f.DetType, "experiment": f.Run.Experiment} {
		if err := access.CheckName(what, word); err != nil {
			return "", err
		}
	}
	return path, r.Policy.MkdirAll(filepath.Dir(path))
}
