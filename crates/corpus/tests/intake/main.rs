//! What stands for a text: folders, compressed files, standard input, text that is not quite UTF-8; and what is said of it.

mod place; // a folder for texts and one for the cache

mod folders;
mod packed; // compressed files, standard input
mod text; // marks, line ends, what is not UTF-8
