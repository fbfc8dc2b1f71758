package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one change to the source that its tests should notice.
type mutant struct {
	name   string // file, function, kind and text: what stays when lines move
	number int
	file   string
	edits  []edit

	reachedBy []string // tests
	caughtBy  string
}

// edit is text to insert at a place of the source. Those of outer expressions
// come before those of inner ones.
type edit struct {
	offset int
	closes bool
	text   string
}

// mutants finds what can be broken in the files of a target.
func (t target) mutants(root string) ([]*mutant, error) {
	names, err := filepath.Glob(filepath.Join(root, t.folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var found []*mutant
	for _, path := range names {
		base := filepath.Base(path)
		if strings.HasSuffix(base, "_test.go") || len(t.files) > 0 && !slices.Contains(t.files, base) {
			continue
		}
		// No test of this machine comes by what is built for another one.
		if here, err := build.Default.MatchFile(filepath.Dir(path), base); err != nil {
			return nil, err
		} else if !here {
			continue
		}
		more, err := mutantsOf(path, filepath.Join(filepath.Base(t.folder), base))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	number(found)
	return found, nil
}

// number numbers the mutants, and tells those of one name apart.
func number(mutants []*mutant) {
	times := map[string]int{}
	for i, m := range mutants {
		m.number = i + 1
		times[m.name]++
		if n := times[m.name]; n > 1 {
			m.name = fmt.Sprintf("%s (%d)", m.name, n)
		}
		for j := range m.edits {
			m.edits[j].text = strings.ReplaceAll(m.edits[j].text, "MUTANT", fmt.Sprint(m.number))
		}
	}
}

func mutantsOf(path, shown string) ([]*mutant, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	s := &search{source: source, files: files, path: path}
	for _, declaration := range parsed.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Body != nil {
			s.shown = shown + " " + f.Name.Name
			s.function(f.Type, f.Body)
		}
	}
	return s.found, nil
}

// search walks through a file's functions.
type search struct {
	source []byte
	files  *token.FileSet
	path   string
	shown  string
	found  []*mutant
}

func (s *search) offset(p token.Pos) int { return s.files.Position(p).Offset }
func (s *search) text(n ast.Node) string {
	return string(s.source[s.offset(n.Pos()):s.offset(n.End())])
}
func (s *search) is(n ast.Node, t string) bool { return n != nil && s.text(n) == t }

var spaces = regexp.MustCompile(`\s+`)

// add notes a mutant that puts text around a node.
func (s *search) add(kind string, n ast.Node, before, after string) {
	s.addAs(kind, n, n, before, after)
}

// addAs does, and shows another node in its name.
func (s *search) addAs(kind string, as, n ast.Node, before, after string) {
	shown := spaces.ReplaceAllString(s.text(as), " ")
	if len(shown) > 100 {
		shown = shown[:100] + "…"
	}
	m := &mutant{name: s.shown + ": " + kind + ": " + shown, file: s.path}
	m.edits = append(m.edits, edit{s.offset(n.Pos()), false, before})
	if after != "" {
		m.edits = append(m.edits, edit{s.offset(n.End()), true, after})
	}
	s.found = append(s.found, m)
}

func (s *search) function(signature *ast.FuncType, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			s.function(n.Type, n.Body)
			return false
		case *ast.IfStmt:
			s.negate(n.Cond)
		case *ast.ForStmt:
			if n.Cond != nil {
				s.negate(n.Cond)
			}
		case *ast.SwitchStmt:
			if n.Tag == nil {
				s.cases(n.Body)
			}
		case *ast.BinaryExpr:
			s.binary(n)
		case *ast.CompositeLit:
			s.elements(n)
		case *ast.ReturnStmt:
			s.returned(signature, n)
		case *ast.BlockStmt:
			s.statements(n.List)
		case *ast.CaseClause:
			s.statements(n.Body)
		case *ast.CommClause:
			s.statements(n.Body)
		}
		return true
	})
}

func (s *search) negate(condition ast.Expr) {
	s.add("negated", condition, "mutantNot(MUTANT, ", ")")
}

// statements leaves out one at a time.
func (s *search) statements(list []ast.Stmt) {
	for _, n := range list {
		switch n := n.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.SendStmt, *ast.BranchStmt:
			s.remove(n)
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE && !s.is(n.Lhs[0], "_") {
				s.remove(n)
			}
		}
	}
}

func (s *search) remove(n ast.Node) {
	if strings.HasPrefix(s.text(n), "panic(") {
		return // it may be what a function ends with
	}
	s.add("removed", n, "if !mutantOn(MUTANT) { ", " }")
}

func (s *search) cases(body *ast.BlockStmt) {
	for _, clause := range body.List {
		for _, condition := range clause.(*ast.CaseClause).List {
			s.add("never", condition, "mutantPick(MUTANT, ", ", false)")
		}
	}
}

// binary moves boundaries, and leaves out parts of what is joined by && and ||.
func (s *search) binary(n *ast.BinaryExpr) {
	moved := map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}
	switch {
	case n.Op == token.LAND || n.Op == token.LOR:
		neutral := fmt.Sprint(n.Op == token.LAND)
		for _, part := range []ast.Expr{n.X, n.Y} {
			s.add("left out", part, "mutantPick(MUTANT, ", ", "+neutral+")")
		}
	case moved[n.Op] != token.ILLEGAL:
		other := fmt.Sprintf("%s %s %s", s.text(n.X), moved[n.Op], s.text(n.Y))
		s.add("boundary", n, "mutantEither(MUTANT, func() bool { return ", " }, func() bool { return "+other+" })")
	}
}

// elements takes one out of a list of functions or of words.
func (s *search) elements(n *ast.CompositeLit) {
	list, ok := n.Type.(*ast.ArrayType)
	if !ok {
		return
	}
	signature, functions := list.Elt.(*ast.FuncType)
	for _, element := range n.Elts {
		literal, isLiteral := element.(*ast.BasicLit)
		switch {
		case functions:
			s.add("left out", element, "mutantPick(MUTANT, ", ", "+s.text(signature)+" { return "+s.content(signature)+" })")
		case isLiteral && literal.Kind == token.STRING:
			s.add("left out", element, "mutantPick(MUTANT, ", `, "")`)
		}
	}
}

// returned replaces what a function returns: by the answer that lets all through.
func (s *search) returned(signature *ast.FuncType, n *ast.ReturnStmt) {
	if len(n.Results) == 0 || signature.Results == nil {
		return
	}
	if len(n.Results) == 1 && s.is(signature.Results.List[0].Type, "bool") {
		s.addAs("negated", n, n.Results[0], "mutantNot(MUTANT, ", ")")
		return
	}
	instead := s.content(signature)
	same := len(n.Results) > 0
	for _, result := range n.Results {
		same = same && slices.Contains([]string{"nil", "0", "false", `""`, "verdict.Verified"}, s.text(result))
	}
	if !same {
		s.add("instead of", n, "if mutantOn(MUTANT) { return "+instead+" }\n", "")
	}
}

// content is what a function returns that found nothing wrong.
func (s *search) content(signature *ast.FuncType) string {
	var values []string
	for _, field := range signature.Results.List {
		value := "*new(" + s.text(field.Type) + ")"
		if s.is(field.Type, "verdict.Verdict") {
			value = "verdict.Verified"
		}
		for range max(1, len(field.Names)) {
			values = append(values, value)
		}
	}
	return strings.Join(values, ", ")
}
