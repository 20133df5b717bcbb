package xtc1

import (
	"fmt"
	"strings"
)

// typeNames are the names of the type ids in order.
var typeNames = strings.Fields(`Any Xtc Frame AcqWaveform AcqConfig TwoDGaussian Opal1kConfig FrameFexConfig EvrConfig TM6740Config
	RunControlConfig pnCCDframe pnCCDconfig Epics FEEGasDetEnergy EBeamBld PhaseCavity PrincetonFrame
	PrincetonConfig EvrData FrameFccdConfig FccdConfig IpimbData IpimbConfig EncoderData EncoderConfig
	EvrIOConfig PrincetonInfo CspadElement CspadConfig IpmFexConfig IpmFex DiodeFexConfig DiodeFex
	PimImageConfig SharedIpimb AcqTDCConfig AcqTDCData Index XampsConfig XampsElement Cspad2x2Element
	SharedPIM Cspad2x2Config FexampConfig FexampElement Gsc16aiConfig Gsc16aiData PhasicsConfig
	TimepixConfig TimepixData CspadCompressedElement OceanOpticsConfig OceanOpticsData EpicsConfig
	FliConfig FliFrame QuartzConfig Reserved1 Reserved2 AndorConfig AndorFrame UsdUsbData
	UsdUsbConfig GMD SharedAcqADC OrcaConfig ImpData ImpConfig AliasConfig L3TConfig L3TData
	Spectrometer RayonixConfig EpixConfig EpixElement EpixSamplerConfig EpixSamplerElement EvsConfig
	PartitionConfig PimaxConfig PimaxFrame Arraychar Epix10kConfig Epix100aConfig GenericPgpConfig
	TimeToolConfig TimeToolData EpixSConfig SmlDataConfig SmlDataOrigDgramOffset SmlDataProxy ArrayUInt16
	GotthardConfig AnalogInput SmlData Andor3dConfig Andor3dFrame BeamMonitorBldData Generic1DConfig
	Generic1DData UsdUsbFexConfig UsdUsbFexData EOrbits SharedUsdUsb ControlsCameraConfig
	ArchonConfig JungfrauConfig JungfrauElement QuadAdcConfig ZylaConfig ZylaFrame Epix10kaConfig
	PixisConfig PixisFrame UxiConfig UxiFrame Epix10ka2MConfig Epix10kaArray StreakConfig
	Epix10kaQuadConfig iStarConfig AlviumConfig VimbaFrame`)

// typeName returns the name of a type id, or "type N".
func typeName(id uint16) string {
	if int(id) < len(typeNames) {
		return typeNames[id]
	}
	return fmt.Sprintf("type %d", id)
}
