package kernel

func implementations() []impl { return []impl{portable} }
