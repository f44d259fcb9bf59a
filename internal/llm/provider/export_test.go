package provider

import "net/http"

// Transport lets tests dial elsewhere and trust certificates of their own.
func (p *Provider) Transport() *http.Transport { return p.transport }
