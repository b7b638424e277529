//! What may be given as a text: folders, compressed files, standard input, text that is not quite UTF-8.
