package main

import (
	"html/template"
	"os"
)

// bar is one bar of the picture: the CPU that a subject took per request.
type bar struct {
	group, name string
	value       float64
}

// drawPicture draws the bars, each group on a scale of its own, since they are a
// hundred times apart.
func drawPicture(path, caption string, bars []bar) error {
	most := make(map[string]float64)
	for _, b := range bars {
		most[b.group] = max(most[b.group], b.value)
	}
	type row struct {
		Y, Width     int
		Name, Fill   string
		Value        float64
		Group        string
		TextY, HeadY int
	}
	var rows []row
	y, group := 34, ""
	for _, b := range bars {
		r := row{Name: b.name, Value: b.value, Fill: "#8a94a6"}
		if b.group != group {
			y += 26
			group = b.group
			r.Group, r.HeadY = b.group, y-8
		}
		if b.name == "gate" {
			r.Fill = "#2f6fde"
		}
		r.Y, r.TextY, r.Width = y, y+14, max(int(b.value/most[b.group]*430), 1)
		rows = append(rows, r)
		y += 24
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = picture.Execute(file, map[string]any{"Rows": rows, "Height": y + 30, "CaptionY": y + 18, "Caption": caption})
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}

var picture = template.Must(template.New("picture").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 {{.Height}}" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="CPU time per request">
<rect width="680" height="{{.Height}}" fill="#ffffff"/>
<text x="16" y="26" font-size="15" font-weight="600" fill="#1d2330">CPU time per request, µs (less is better)</text>
{{range .Rows}}{{if .Group}}<text x="16" y="{{.HeadY}}" font-weight="600" fill="#1d2330">{{.Group}}</text>
{{end}}<text x="100" y="{{.TextY}}" text-anchor="end" fill="#1d2330">{{.Name}}</text><rect x="110" y="{{.Y}}" width="{{.Width}}" height="19" rx="3" fill="{{.Fill}}"/><text x="{{.Width}}" dx="118" y="{{.TextY}}" fill="#1d2330">{{printf "%.0f" .Value}}</text>
{{end}}<text x="16" y="{{.CaptionY}}" font-size="11" fill="#5b6475">{{.Caption}}</text>
</svg>
`))
