package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// image is what is in an image, read from what `save` writes.
type image struct {
	id     string
	config config
	layers []int // bytes of each, as it lies on the machine that runs it
	packed int   // bytes of all, as a registry sends them
	files  map[string]file
}

// config is the part of an image's configuration that is checked.
type config struct {
	Architecture, OS string
	Config           struct {
		User            string
		Entrypoint, Cmd []string
		Labels          map[string]string
	}
}

// file is a file in the image as its last layer left it.
type file struct {
	mode    fs.FileMode
	link    string // where a symbolic link leads
	content []byte
}

// readImage reads the archive as a whole: what says how it is ordered stands at its end.
func readImage(id string, archive io.Reader) (image, error) {
	img := image{id: id, files: make(map[string]file)}
	blobs, err := readTar(archive)
	if err != nil {
		return img, fmt.Errorf("read the image's archive: %w", err)
	}
	var manifest []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(blobs["manifest.json"].content, &manifest); err != nil || len(manifest) != 1 {
		return img, fmt.Errorf("read the image's manifest (%d images): %w", len(manifest), err)
	}
	if err := json.Unmarshal(blobs[manifest[0].Config].content, &img.config); err != nil {
		return img, fmt.Errorf("read the image's configuration: %w", err)
	}
	for _, name := range manifest[0].Layers {
		if err := img.stack(blobs[name].content); err != nil {
			return img, fmt.Errorf("read layer %s: %w", name, err)
		}
	}
	return img, nil
}

// stack lays a layer over those before.
func (img *image) stack(layer []byte) error {
	if bytes.HasPrefix(layer, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			return err
		}
		if layer, err = io.ReadAll(z); err != nil {
			return err
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(layer) // to memory
	z.Close()
	img.packed += packed.Len()
	img.layers = append(img.layers, len(layer))
	files, err := readTar(bytes.NewReader(layer))
	if err != nil {
		return err
	}
	for name, f := range files {
		folder, gone := path.Split(name)
		if gone, ok := strings.CutPrefix(gone, ".wh."); ok { // takes away what a layer before has
			delete(img.files, folder+gone)
			continue
		}
		img.files[name] = f
	}
	return nil
}

// readTar reads all files of an archive. Hard links become what they lead to.
func readTar(archive io.Reader) (map[string]file, error) {
	files := make(map[string]file)
	for r := tar.NewReader(bufio.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean("/" + h.Name)[1:]
		switch h.Typeflag {
		case tar.TypeReg:
			content, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			files[name] = file{h.FileInfo().Mode(), "", content}
		case tar.TypeLink:
			files[name] = files[path.Clean("/" + h.Linkname)[1:]]
		case tar.TypeSymlink:
			files[name] = file{link: h.Linkname}
		}
	}
}

// read returns a file, through links.
func (img *image) read(name string) []byte {
	for range 10 {
		f := img.files[name]
		if f.link == "" {
			return f.content
		}
		if !path.IsAbs(f.link) {
			f.link = "/" + path.Dir(name) + "/" + f.link
		}
		name = path.Clean(f.link)[1:]
	}
	return nil
}

// size is the bytes of all layers.
func (img *image) size() (all int) {
	for _, n := range img.layers {
		all += n
	}
	return all
}
